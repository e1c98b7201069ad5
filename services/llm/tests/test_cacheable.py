import pytest
from queqiao_common.events import Prompt
from queqiao_llm.cacheable import first_question, unfit


@pytest.mark.parametrize(
    "question",
    [
        "怎么申请退款？",
        "你们几点开门",
        "请问你们这边怎么收费",
        "我想退货怎么办",
        "请问我可以带宠物吗",
        "7天无理由退货怎么申请",
        "周末开门吗",
        "办年卡多少钱",
        "客服电话是多少",
        "一年级学费多少",
        "关于老师的资质有什么要求",
        "how to reset a password",
    ],
)
def test_a_question_that_anybody_might_ask_is_fit(question):
    assert unfit(question) == ""


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("我的快递到哪了", "personal"),
        ("我老公的社保怎么交", "personal"),
        ("我今年三十岁能报吗", "personal"),
        ("本人已经缴费怎么查", "personal"),
        ("订单号在哪里查", "personal"),
        ("手机尾号不对怎么办", "personal"),
        ("where is my order", "personal"),
        ("张老师的课还有名额吗", "person"),
        ("李医生什么时候坐诊", "person"),
        ("13812345678能注册吗", "number"),
        ("138 1234 5678能注册吗", "number"),
        ("SF12345678到哪了", "number"),
        ("a.b@example.com能用吗", "address"),
        ("https://example.com是官网吗", "address"),
        ("5月1日开门吗", "date"),
        ("五月一号开门吗", "date"),
        ("2026年放假安排", "date"),
        ("10:30的场次有吗", "date"),
        ("今天几点开门", "moment"),
        ("现在有什么活动", "moment"),
        ("最近的优惠有哪些", "moment"),
        ("下周开课吗", "moment"),
        ("深圳天气怎么样", "moment"),
        ("那退款呢", "context"),
        ("这个多少钱", "context"),
        ("它可以退吗", "context"),
        ("还有别的办法吗", "context"),
        ("另外怎么付款", "context"),
        ("谢谢你们", "context"),
        ("讲个笑话听听", "creative"),
        ("帮忙写一首诗", "creative"),
        ("翻译一下这句话", "context"),
        ("活着没意思不想活了", "grave"),
        ("你好", "length"),
        ("长" * 61, "length"),
        ("怎么退款\n怎么换货", "several"),
    ],
)
def test_a_question_of_one_person_or_one_day_is_not(question, reason):
    """Its answer would be given to others, or when it is no longer true."""
    assert unfit(question) == reason


def test_only_a_turn_without_a_history_has_a_first_question():
    persona, asked = Prompt("system", "助手"), Prompt("user", "怎么退款")

    assert first_question((persona, asked)) == "怎么退款"
    assert first_question((asked,)) == "怎么退款"
    assert first_question((persona, asked, Prompt("assistant", "好"), asked)) == ""
    assert first_question((persona,)) == ""
