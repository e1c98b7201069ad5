"""From the recorded text to what a chat shows."""

import pytest
from queqiao_common.errors import SettingsError
from queqiao_common.events import Menu, MenuItem
from queqiao_common.settings import Delivery as Settings
from queqiao_common.testing import delivery
from queqiao_egress.channels.port import Traits
from queqiao_egress.dressing import items_of, rules_of
from queqiao_egress.pages import Attachment

MARKED = Traits(call="", marks_ai=True)


def text_of(sent, *, markdown=False):
    return "".join(item.text for item in items_of(sent, markdown=markdown, picture="［图片］"))


def test_a_models_markdown_becomes_plain_and_an_operators_words_stay():
    assert text_of(delivery("# 标题\n**重点**")) == "【标题】\n重点"
    assert text_of(delivery("**重点**"), markdown=True) == "**重点**"
    assert text_of(delivery("1) **好**", kind="notice")) == "1) **好**"


def test_what_a_chat_cannot_show_is_gone_and_nothing_is_no_item():
    assert text_of(delivery(" a\x00b\r\nc ")) == "ab\nc"
    assert items_of(delivery("\x00 \n"), markdown=False, picture="") == ()


def test_the_label_stands_in_the_text_where_wechat_has_no_mark():
    rules = rules_of(Settings(), MARKED)
    assert (rules.passive.label, rules.api.label) == ("（AI 生成）", "")
    assert rules_of(Settings(), Traits(call="")).api.label == "（AI 生成）"


def test_phrases_that_would_fill_a_message_are_refused_at_the_start():
    with pytest.raises(SettingsError, match=r"delivery\.more"):
        rules_of(Settings(max_bytes=200, more="桥" * 40), MARKED)


def test_a_menu_whose_words_are_the_text_is_shown_once():
    """The words stand in the history, so that the model knows what was offered."""
    menu = Menu(head="您是不是想问：", items=(MenuItem("1", "几点开门"),), tail="回复数字即可。")
    words = "您是不是想问：\n1. 几点开门\n回复数字即可。"

    [item] = items_of(delivery(words, menu=menu), markdown=False, picture="[图片]")

    assert (item.text, item.attachment) == (words, Attachment(menu=menu))
