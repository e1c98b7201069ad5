"""The menu below a chat, as a file and as the API has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_wechat.menu import (
    NEEDS,
    Button,
    Menu,
    MenuFileError,
    check,
    described,
    from_api,
    parse,
)

GOOD = """
[[button]]
name = "帮助"
type = "click"
key = "HELP"

[[button]]
name = "更多"
[[button.sub_button]]
name = "官网"
type = "view"
url = "https://a.example/"
[[button.sub_button]]
name = "下单"
type = "miniprogram"
url = "https://a.example/order"
appid = "wx2"
pagepath = "pages/order"
"""


def problems(text):
    with pytest.raises(MenuFileError) as caught:
        parse(text)
    return caught.value.problems


def test_a_menu_is_described_line_by_line():
    assert described(parse(GOOD)) == [
        "1 帮助  [click key=HELP]",
        "2 更多",
        "2.1 官网  [view url=https://a.example/]",
        "2.2 下单  [miniprogram url=https://a.example/order appid=wx2 pagepath=pages/order]",
    ]


def test_everything_that_wechat_would_refuse_is_named_at_once():
    """WeChat names one mistake at a time, by a number."""
    found = problems(
        """
[[button]]
name = "一个很长的名字"
type = "click"
[[button]]
name = ""
type = "view"
url = "ftp://a"
key = "K"
[[button]]
name = "好"
type = "clik"
[[button]]
name = "多"
"""
    )

    assert found[0] == "4 buttons: a menu has 1 to 3"
    assert found[1] == "button 1: the name '一个很长的名字' has 21 bytes, at most 16 fit"
    assert "button 1: type 'click' needs key" in found
    assert "button 2: it has no name" in found
    assert "button 2: type 'view' takes no key" in found
    assert "button 2: the URL 'ftp://a' does not begin with https:// (or http://)" in found
    assert any(one.startswith("button 3: type 'clik' is none of click,") for one in found)
    assert any(one.startswith("button 4: type is missing") for one in found)


def test_below_a_button_are_five_at_most_and_nothing_below_them():
    below = '[[button.sub_button]]\nname = "a"\ntype = "click"\nkey = "k"\n'
    found = problems('[[button]]\nname = "多"\nkey = "k"\n' + below * 6)

    assert found == (
        "button 1: 6 buttons below it, at most 5 are shown",
        "button 1: it opens others, so it can have a name and nothing else",
    )
    deep = Button(name="a", sub_button=(Button(name="b", type="click", key="k"),))
    nested = Menu(button=(Button(name="c", sub_button=(deep,)),))
    assert "button 1.1: nothing can be below a button that is below another" in list(check(nested))


@pytest.mark.parametrize("text", ["[[button", "button = 1", '[[button]]\nname = "a"\nkind = "b"'])
def test_a_file_that_is_no_menu_is_refused(text):
    assert problems(text)


def test_key_and_url_have_limits_in_bytes():
    button = Button(name="a", type="click", key="键" * 43)
    link = Button(name="b", type="view", url="https://a/" + "x" * 1020)

    assert list(check(Menu(button=(button, link)))) == [
        "button 1: the key has 129 bytes, at most 128 are taken",
        "button 2: the URL has 1030 bytes, at most 1024 are taken",
    ]


def test_both_answers_of_the_api_are_read():
    by_api = {"menu": {"button": [{"name": "a", "type": "click", "key": "k", "sub_button": []}]}}
    by_hand = {
        "is_menu_open": 1,
        "selfmenu_info": {
            "button": [
                {
                    "name": "b",
                    "sub_button": {"list": [{"name": "c", "type": "text", "value": "嗨"}]},
                }
            ]
        },
    }

    assert described(from_api(by_api)[0]) == ["1 a  [click key=k]"]
    menu, [note] = from_api(by_hand)
    assert described(menu) == ["1 b", "1.1 c  [click key=queqiao.1.1]"]
    assert "嗨" in note
    assert list(check(menu)) == []


NAMES = st.sampled_from(["menu", "button", "name", "type", "sub_button", "list", "key"])
ANYTHING = st.recursive(
    st.none() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
)


@given(st.dictionaries(NAMES, ANYTHING))
def test_no_answer_breaks_the_reader(answer):
    described(from_api(answer)[0])


def test_every_type_needs_what_it_needs():
    assert all(fields for fields in NEEDS.values())
