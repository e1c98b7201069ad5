"""Directives are understood, everything else is left alone, and answers are what they promise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_localmodel.script import Fault, Script, answer, applied, directed, filler, tokens

words = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[delay=3]", Script(delay=3.0)),
        ("先等[first=2]再说", Script(first=2.0)),
        ("[status=429;retry-after=1]", Script(status=429, retry_after=1.0)),
        ("[paragraphs=4] [bytes=9000]", Script(paragraphs=4, bytes=9000)),
        ("[hang_mid]", Script(fault=Fault.HANG_MID)),
        ("[cdata][markdown]", Script(cdata=True, markdown=True)),
        ("[tokens_per_second=2.5][chunk=1]", Script(tokens_per_second=2.5, chunk=1)),
        ("[status=500] [status=200]", Script()),
    ],
)
def test_a_directive_changes_the_script(text, expected):
    assert directed(Script(), text) == expected


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_a_directive_of_its_name(fault):
    assert directed(Script(), f"[{fault}]") == Script(fault=fault)


@pytest.mark.parametrize(
    "text",
    [
        "[微笑]",
        "[1]",
        "[]",
        "[delay]",
        "[delay=x]",
        "[delay=1",
        "delay=1]",
        "[delay=1;nonsense]",
        "[delay=1;delay=2]",
        "[hang;half]",
        "[fault=hang]",
        "[status=99]",
        "[bytes=99999999]",
    ],
)
def test_a_bracket_that_is_not_understood_is_ordinary_text(text):
    """Users write [微笑] and [1]; a half-understood directive must not half work."""
    assert directed(Script(), text) == Script()


@given(text=st.from_regex(r"[a-z_;=0-9.-]{0,20}", fullmatch=True))
def test_a_bracket_means_what_its_directive_means(text):
    assert directed(Script(), f"[{text}]") == (applied(Script(), text) or Script())


@given(question=words)
def test_an_answer_holds_its_question_word_for_word(question):
    """A test that mixes many users finds out whose answer it was given."""
    assert answer(question, Script()) == f"答：{question}"


@given(
    question=st.text(alphabet="问答ab\n", max_size=20),
    paragraphs=st.integers(1, 9),
    size=st.integers(500, 5000),
    cdata=st.booleans(),
    markdown=st.booleans(),
)
def test_an_answer_has_the_bytes_that_were_asked_for(question, paragraphs, size, cdata, markdown):
    script = Script(paragraphs=paragraphs, bytes=size, cdata=cdata, markdown=markdown)

    text = answer(question, script)

    assert len(text.encode()) == size
    assert question in text


def test_paragraphs_are_parted_by_blank_lines():
    text = answer("问", Script(paragraphs=3, bytes=300))

    assert [part[:3] for part in text.split("\n\n")] == ["答：问", "第2段", "第3段"]


def test_an_answer_with_cdata_ends_a_cdata_section():
    """WeChat's replies are XML: this text breaks whoever does not escape."""
    assert "]]>" in answer("问", Script(cdata=True))


def test_an_empty_answer_has_no_text():
    assert answer("问", Script(fault=Fault.EMPTY, paragraphs=3)) == ""


@given(size=st.integers(0, 300))
def test_filler_is_exact_to_the_byte(size):
    assert len(filler(size).encode()) == size


@given(text=words, length=st.integers(1, 10))
def test_tokens_lose_nothing(text, length):
    pieces = tokens(text, length)

    assert "".join(pieces) == text
    assert all(0 < len(piece) <= length for piece in pieces)
