import re

from hypothesis import given
from hypothesis import strategies as st
from queqiao_llm.segments import Segmenter

TEXTS = st.lists(
    st.sampled_from(["一二三。", "abc", "\n", "\n\n", "\n \n", "```\n", " ", "~~~py\n"])
)


def cut(chunks, least=6):
    segmenter = Segmenter(least)
    pieces = [piece for chunk in chunks for piece in segmenter.feed(chunk)]
    return [*pieces, segmenter.finish()]


def normalised(text):
    return re.sub(r"\s*\n\s*\n\s*", "\n\n", text).strip()


def test_a_piece_is_closed_at_the_first_paragraph_end_after_enough_text():
    assert cut(["一\n\n二三四\n\n五"], least=10) == ["一\n\n二三四", "五"]


def test_a_piece_is_closed_as_soon_as_the_next_paragraph_begins():
    """The first paragraph is read while the rest is being written."""
    segmenter = Segmenter(3)

    assert segmenter.feed("第一段。\n\n") == []
    assert segmenter.feed("第") == ["第一段。"]


def test_a_code_block_is_never_cut():
    code = "```py\na = 1\n\nb = 2\n```"

    assert cut([f"看：\n\n{code}\n\n完"], least=1) == ["看：", code, "完"]
    assert cut(["```\na\n\nb"], least=1) == ["```\na\n\nb"]


def test_indentation_at_the_beginning_of_a_piece_is_kept():
    assert cut(["看：\n\n    a = 1\n    b = 2"], least=1) == ["看：", "    a = 1\n    b = 2"]


def test_a_short_answer_is_one_piece():
    assert cut(["你好", "！\n\n有事吗？\n"], least=600) == ["你好！\n\n有事吗？"]


def test_the_last_piece_is_never_empty_when_something_was_said():
    assert cut(["一二三\n\n", "四五六\n\n", "\n\n"], least=1) == ["一二三", "四五六"]


@given(TEXTS, st.integers(1, 30))
def test_joined_by_blank_lines_the_pieces_are_the_text(chunks, least):
    pieces = cut(chunks, least)

    assert normalised("\n\n".join(pieces)) == normalised("".join(chunks))


@given(TEXTS, st.integers(1, 30))
def test_where_the_chunks_end_makes_no_difference(chunks, least):
    text = "".join(chunks)

    assert cut(chunks, least) == cut([text], least) == cut(text, least)


@given(TEXTS, st.integers(1, 30))
def test_all_pieces_but_the_last_hold_enough(chunks, least):
    assert all(len(piece.encode()) >= least for piece in cut(chunks, least)[:-1])
