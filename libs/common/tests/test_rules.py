"""Rules are judged when the configuration is read, each problem by its key path."""

import re

import pytest
from queqiao_common.settings.rules import Rule, has_nested_repeat, rule_problems


def problems(*rules, can_hand_over=True):
    return list(
        rule_problems(rules, accounts={"main"}, personas={"tutor"}, can_hand_over=can_hand_over)
    )


def test_a_rule_that_is_right_has_no_problems():
    rule = Rule(match="regex", values=("^(你好|您好)[!！]*$",), accounts=("main",), reply="好")

    assert problems(rule, Rule(on="scan", persona="tutor")) == []


def test_every_problem_is_named_by_its_key_path():
    assert problems(
        Rule(),
        Rule(match="regex", values=("ok", "*"), reply="x"),
        Rule(match="regex", values=("(a+)+$",), reply="x"),
        Rule(accounts=("other",), persona="nobody"),
        Rule(reply="x", ask="y"),
        Rule(handover=True, ask="y"),
    ) == [
        "rules[0].reply: required, or card, persona, handover or ask",
        "rules[1].values[1]: not a regular expression: nothing to repeat at position 0",
        "rules[2].values[0]: a repeat within a repeat, like (a+)+, can take for ever to match",
        "rules[3].accounts: no account has the id 'other'",
        "rules[3].persona: no persona is called 'nobody'",
        "rules[4].ask: there is a reply already",
        "rules[5].ask: the conversation is handed over, no model is asked",
    ]


def test_a_hand_over_that_is_switched_off_is_no_outcome():
    assert problems(Rule(handover=True), can_hand_over=False) == [
        "rules[0].handover: handover.enabled is false"
    ]


@pytest.mark.parametrize(
    "pattern", ["(a+)+", "(a*)*b", "((ab)+c)*", "(a{1,})+", "(?:x+y)+", "(a|b+){2,}"]
)
def test_a_repeat_within_a_repeat_is_found(pattern):
    re.compile(pattern)

    assert has_nested_repeat(pattern)


@pytest.mark.parametrize(
    "pattern", ["a+b+", "(ab)+", "(a+)b", r"(\(+)x", "([*+])+", "(a?b)+", "[]+]+(x)+"]
)
def test_harmless_repeats_are_allowed(pattern):
    re.compile(pattern)

    assert not has_nested_repeat(pattern)
