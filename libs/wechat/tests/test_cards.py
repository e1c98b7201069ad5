"""Bodies of messages that are more than a text."""

from hypothesis import given
from hypothesis import strategies as st
from queqiao_wechat import cards
from queqiao_wechat.text import size


def test_a_menu_of_customer_service_keeps_its_limits():
    body = cards.kf_msgmenu(head="请选择", items=[("k" * 100, "选项" * 50)] * 12, tail="谢谢")

    lines = body["msgmenu"]["list"]
    assert len(lines) == 10
    assert all(size(line["click"]["id"]) <= 64 for line in lines)
    assert all(size(line["click"]["content"]) <= 128 for line in lines)


def test_news_is_one_article():
    body = cards.news(title="题" * 99, description="", url="https://a", picture_url="")

    [article] = body["news"]["articles"]
    assert size(article["title"]) <= 128
    assert article["title"].endswith("…")


@given(words=st.text(alphabet=st.characters(exclude_categories=["Cs"])), limit=st.integers(8, 64))
def test_what_is_shortened_fits(words, limit):
    assert size(cards.shortened(words, limit)) <= limit
