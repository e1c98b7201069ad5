from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from queqiao_cli.knowledge.chunking import chunks_of, spans
from queqiao_cli.knowledge.readers import Section
from queqiao_common.knowledge import Chunk

TEXT = st.text(alphabet="甲乙丙丁，。！\n ab.", max_size=400)
SIZES = st.integers(10, 60)
OVERLAPS = st.integers(0, 80)


@given(text=TEXT, size=SIZES, overlap=OVERLAPS)
def test_nothing_is_lost_and_no_part_is_too_large(text, size, overlap):
    parts = list(spans(text, size=size, overlap=overlap))

    assert parts[0][0] == 0
    assert parts[-1][1] == len(text)
    assert all(end - start <= size for start, end in parts)
    for (start, end), (following, _) in pairwise(parts):
        assert start < following <= end
        assert end - following <= overlap


@given(text=TEXT, size=SIZES, overlap=OVERLAPS)
def test_every_chunk_says_something_of_its_section(text, size, overlap):
    chunks = list(chunks_of([Section("题", text, "第 1 页")], size=size, overlap=overlap))

    assert all(chunk.text for chunk in chunks)
    assert {(chunk.heading, chunk.place) for chunk in chunks} == {("题", "第 1 页")}


def test_a_cut_is_made_where_a_paragraph_ends():
    text = "第一段的话。还有一句。\n\n第二段的话。"

    first, second = [text[start:end] for start, end in spans(text, size=16, overlap=0)]

    assert first == "第一段的话。还有一句。\n\n"
    assert second == "第二段的话。"


def test_a_chunk_begins_with_the_last_sentence_of_the_one_before():
    text = "一二三四五六。七八九。甲乙丙丁戊己庚辛。"

    chunks = [one.text for one in chunks_of([Section("", text)], size=12, overlap=5)]

    assert chunks[0].endswith("七八九。")
    assert chunks[1].startswith("七八九。")


def test_short_sections_stay_whole():
    sections = [Section("问题一", "答案一。"), Section("问题二", "")]

    assert list(chunks_of(sections, size=100, overlap=20)) == [
        Chunk("问题一", "答案一。"),
        Chunk("问题二", "问题二"),
    ]
