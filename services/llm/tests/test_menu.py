import pytest
from queqiao_common.events import Prompt
from queqiao_llm.menu import chosen, render

TITLE, HINT = "您是不是想问：", "回复数字即可；都不是请回复 0。"
PERSONA = Prompt("system", "助手")
ASKED = Prompt("user", "会员咋退")
MENU = Prompt("assistant", render(["会员怎么退款？", "积分可以退吗？"], title=TITLE, hint=HINT))


def reply(text, menu=MENU):
    return chosen((PERSONA, ASKED, menu, Prompt("user", text)), title=TITLE)


def test_a_menu_is_numbered_text():
    assert MENU.content == (
        "您是不是想问：\n1. 会员怎么退款？\n2. 积分可以退吗？\n回复数字即可；都不是请回复 0。"
    )


@pytest.mark.parametrize("text", ["2", " 2. ", "２", "第二个", "选2", "二", "积分可以退吗"])
def test_a_number_stands_for_the_question_that_it_numbers(text):
    assert reply(text) == (PERSONA, Prompt("user", "积分可以退吗？"))


def test_none_of_them_means_the_question_that_was_asked():
    """The menu must not stand between a user and the model."""
    assert reply("0") == (PERSONA, ASKED)


@pytest.mark.parametrize("text", ["3", "9", "都不是", "21", "2个月可以退吗", "怎么开发票", "？"])
def test_anything_else_is_an_ordinary_message(text):
    assert reply(text) is None


def test_a_number_after_an_ordinary_answer_is_just_a_number():
    assert reply("1", Prompt("assistant", "1. 先打开设置\n2. 再点退款")) is None
    assert reply("0", Prompt("assistant", TITLE)) is None


def test_a_number_without_a_history_is_just_a_number():
    assert chosen((PERSONA, Prompt("user", "1")), title=TITLE) is None


def test_the_history_before_the_menu_stays():
    before = (Prompt("user", "你好"), Prompt("assistant", "你好！"))

    choice = chosen((PERSONA, *before, ASKED, MENU, Prompt("user", "1")), title=TITLE)

    assert choice == (PERSONA, *before, Prompt("user", "会员怎么退款？"))
