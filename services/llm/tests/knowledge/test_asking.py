import pytest
from queqiao_common.events import Prompt
from queqiao_llm.knowledge.asking import Asking, is_small_talk, questions_of

ASKING = Asking()


def said(*texts):
    return [
        Prompt("user" if number % 2 == 0 else "assistant", text)
        for number, text in enumerate(texts)
    ]


@pytest.mark.parametrize("text", ["你好", "您好！", "在吗？", "谢谢", "好的呀", "Hi~", "？？", ""])
def test_small_talk_is_not_looked_up(text):
    assert is_small_talk(text)


@pytest.mark.parametrize("text", ["你好，怎么退款", "在吗我的订单呢", "发票", "好评返现怎么弄"])
def test_a_question_is_no_small_talk(text):
    assert not is_small_talk(text)


def test_a_question_that_leans_on_the_one_before_is_looked_up_with_it():
    prompt = said("会员怎么退款？", "申请即可。", "那要多久？")

    assert questions_of(prompt) == ("那要多久？", "会员怎么退款？\n那要多久？")


def test_a_complete_question_is_looked_up_alone():
    prompt = said("会员怎么退款？", "申请即可。", "请问电子发票可以开公司的抬头吗？")

    assert questions_of(prompt) == ("请问电子发票可以开公司的抬头吗？",)


def test_other_words_for_the_same_are_searched_for_too():
    asked, other = ASKING.sought("退款多久"), ASKING.sought("退钱要几天")

    assert not asked.terms.keys().isdisjoint(other.terms)


def test_support_is_the_share_of_what_is_asked():
    sought = ASKING.sought("退款多久到账")

    full = ASKING.support(sought, "退款三天到账；退款多久到账请见说明")
    part = ASKING.support(sought, "如需退款请联系我们")
    none = ASKING.support(sought, "营养午餐的菜单")

    assert full == pytest.approx(1.0)
    assert 0 < part < full
    assert none == 0
