import pytest
from queqiao_llm.differences import difference, numbers
from queqiao_llm.matching import Vocabulary

OWN = Vocabulary()


@pytest.mark.parametrize(
    ("asked", "stored", "facet"),
    [
        ("7天内可以退吗", "15天内可以退吗", "number"),
        ("7天内可以退吗", "7个月内可以退吗", "number"),
        ("七天无理由退货", "十五天无理由退货", "number"),
        ("科目二可以补考几次", "科目三可以补考几次", "number"),
        ("iphone怎么绑定", "ipad怎么绑定", "name"),
        ("会员可以退吗", "会员不可以退吗", "negation"),
        ("非会员有什么权益", "会员有什么权益", "negation"),
        ("没开封可以退吗", "开封可以退吗", "negation"),
        ("怎么开通自动续费", "怎么关闭自动续费", "undo"),
        ("怎么取消预约", "怎么预约", "undo"),
        ("怎么注册账号", "怎么注销账号", "undo"),
        ("几点开门", "几点关门", "door"),
        ("体检前能吃饭吗", "体检后能吃饭吗", "order"),
        ("会员多少钱", "会员有多久", "asked"),
        ("在哪里办会员", "怎么办会员", "asked"),
        ("几点开门", "开门多久", "clock"),
        ("周六开门吗", "周日开门吗", "weekday"),
        ("周六开门吗", "周末开门吗", "weekday"),
        ("男士可以办卡吗", "女士可以办卡吗", "sex"),
        ("儿童门票多少钱", "门票多少钱", "age"),
        ("可以借几本书", "可以续借几本书", "again"),
        ("微信怎么支付", "支付宝怎么支付", "pay"),
        ("怎么退款", "可以退款吗", "mode"),
        ("孩子可以打疫苗吗", "孩子需要打疫苗吗", "mode"),
        ("篮球课可以试听吗", "钢琴课可以试听吗", "wording"),
        ("水费怎么交", "电费怎么交", "wording"),
    ],
)
def test_what_makes_two_questions_two(asked, stored, facet):
    """Whatever the score says: the answer to the one is wrong for the other."""
    assert difference(asked, stored, OWN) == facet
    assert difference(stored, asked, OWN) == facet


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("请问会员怎么退款呀", "会员如何退款？"),
        ("七天无理由退货怎么申请", "7天无理由退货怎么申请"),
        ("VIP有什么特权", "会员有什么权益"),
        ("密码想不起来了怎么办", "忘记密码怎么办"),
        ("能不能开发票", "可以开发票吗"),
        ("双休日开门吗", "周末开门吗"),
        ("不好意思，请问怎么退款", "怎么退款"),
        ("孩子能打疫苗不", "儿童可以打疫苗吗"),
    ],
)
def test_rewordings_are_one_question(asked, stored):
    assert difference(asked, stored, OWN) == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("七天", {"7天"}),
        ("十五天", {"15天"}),
        ("二十天", {"20天"}),
        ("一百零五元", {"105元"}),
        ("两个月", {"2个"}),
        ("三千五百万", {"35000000"}),
        ("7.50元", {"7.5元"}),
        ("一个班", set()),
        ("周六", set()),
        ("星期三", set()),
        ("50%", {"50%"}),
    ],
)
def test_numbers_are_read_in_one_spelling(text, found):
    assert numbers(text) == found
