"""Which rule fits what a user did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.matching import LONGEST, Occasion, first_fitting, fits, occasions
from queqiao_common.settings import Rule
from queqiao_common.testing import inbound


def by_text(match, *values):
    return Rule(match=match, values=values, reply="x")


@pytest.mark.parametrize(
    ("rule", "text", "does_fit"),
    [
        (by_text("exact", "价格"), " 价格 ", True),
        (by_text("exact", "价格"), "价格表", False),
        (by_text("exact", "Help"), "HELP", True),
        (by_text("prefix", "查快递"), "查快递 123", True),
        (by_text("prefix", "查快递"), "帮我查快递", False),
        (by_text("regex", r"^订单\d+$"), "订单42", True),
        (by_text("regex", "退(款|货)"), "我要退货", True),
        (by_text("regex", r"^\d+$"), "四十二", False),
        (by_text("exact", "甲", "乙"), "乙", True),
        (Rule(reply="x"), "随便什么", True),
    ],
)
def test_a_text_is_compared_as_the_rule_says(rule, text, does_fit):
    assert fits(rule, Occasion("text", text)) is does_fit


def test_the_first_rule_that_fits_decides():
    rules = (by_text("exact", "甲"), by_text("prefix", "乙"), Rule(reply="all"))

    assert first_fitting(rules, (Occasion("text", "乙丙"),)) is rules[1]
    assert first_fitting(rules, (Occasion("text", "丁"),)) is rules[2]
    assert first_fitting(rules[:2], (Occasion("text", "丁"),)) is None


def test_a_rule_about_one_thing_does_not_fit_another():
    rule = Rule(on="click", values=("HELP",), reply="x")

    assert not fits(rule, Occasion("text", "HELP"))
    assert fits(rule, Occasion("click", "HELP"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"platform_event": "click", "event_key": "K"}, (Occasion("click", "K"),)),
        ({"platform_event": "scan", "scene": "s1", "event_key": "s1"}, (Occasion("scan", "s1"),)),
        (
            {"platform_event": "subscribe", "scene": "s1"},
            (Occasion("scan", "s1"), Occasion("subscribe", "s1")),
        ),
        (
            {"platform_event": "subscribe", "event_key": "qrscene_s2"},
            (Occasion("scan", "s2"), Occasion("subscribe", "s2")),
        ),
        ({"platform_event": "subscribe"}, (Occasion("subscribe", ""),)),
        (
            {"platform_event": "user_enter_tempsession", "trigger": "enter"},
            (Occasion("enter", ""),),
        ),
        ({"platform_event": "view", "event_key": "https://x"}, ()),
    ],
)
def test_what_a_platform_event_is_an_occasion_for(fields, expected):
    assert occasions(inbound("", kind="platform_event", **fields), "") == expected


def test_a_picture_is_no_occasion():
    assert occasions(inbound("", kind="unsupported"), "") == ()


@given(st.text(min_size=LONGEST, max_size=3 * LONGEST))
def test_only_the_beginning_of_a_text_is_looked_at(text):
    rule = by_text("regex", "^.{201,}$")

    assert not fits(rule, Occasion("text", text))
