"""What the model is given."""

from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.events import Prompt
from queqiao_common.tokens import estimate_tokens
from queqiao_context.prompt import PER_PICTURE, build_prompt, cost, recollection

HISTORY = [
    Prompt("user", "甲"),
    Prompt("assistant", "乙"),
    Prompt("user", "丙"),
    Prompt("assistant", "丁"),
]


def build(**fields):
    defaults = {
        "persona": "你是助手。",
        "history": HISTORY,
        "question": Prompt("user", "问"),
        "max_messages": 10,
        "max_tokens": 3000,
    }
    return [message.content for message in build_prompt(**(defaults | fields))]


def test_persona_history_and_question_come_in_this_order():
    assert build() == ["你是助手。", "甲", "乙", "丙", "丁", "问"]


def test_only_the_latest_messages_are_kept():
    assert build(max_messages=2) == ["你是助手。", "丙", "丁", "问"]


def test_history_never_begins_with_an_answer():
    """A model that sees an answer to nothing imitates it."""
    assert build(max_messages=3) == ["你是助手。", "丙", "丁", "问"]


def test_history_gives_way_to_the_token_budget_but_the_question_never_does():
    long = "很长的问题" * 500

    assert build(question=Prompt("user", long), max_tokens=200) == ["你是助手。", long]


def test_chinese_is_not_estimated_by_a_quarter_of_its_length():
    assert estimate_tokens("今天天气怎么样" * 10) >= 70


@given(
    history=st.lists(
        st.builds(Prompt, st.sampled_from(["user", "assistant"]), st.text(max_size=80))
    ),
    question=st.text(max_size=200),
    max_messages=st.integers(0, 12),
    max_tokens=st.integers(100, 2000),
)
def test_a_prompt_stays_within_its_budget_unless_the_question_alone_is_over(
    history, question, max_messages, max_tokens
):
    prompt = build_prompt(
        persona="人设",
        history=history,
        question=Prompt("user", question),
        max_messages=max_messages,
        max_tokens=max_tokens,
    )

    assert prompt[-1] == Prompt("user", question)
    assert len(prompt) <= max_messages + 2
    cost = sum(estimate_tokens(message.content) + 4 for message in prompt[:-1])
    if len(prompt) > 2:
        assert cost + estimate_tokens(question) <= max_tokens


def test_what_is_remembered_is_a_message_of_its_own_behind_the_persona():
    """The answer cache keys on the persona's message alone."""
    assert build(remembered="喜欢猫")[:3] == ["你是助手。", "喜欢猫", "甲"]


def test_a_picture_costs_as_much_as_a_page():
    plain = Prompt("user", "看")

    assert cost(Prompt("user", "看", media=("a", "b"))) - cost(plain) == 2 * PER_PICTURE


def test_pictures_make_history_give_way():
    pictured = Prompt("user", "看", media=("a", "b", "c"))

    assert build(question=pictured, max_tokens=2420) == ["你是助手。", "看"]


def test_the_latest_facts_that_fit_are_remembered():
    facts = [f"第{number}件事" + "很长" * 20 for number in range(9)]

    text = recollection(summary="", facts=facts, max_tokens=500)

    assert "第8件事" in text
    assert "第0件事" not in text
    assert recollection(summary="") == ""
