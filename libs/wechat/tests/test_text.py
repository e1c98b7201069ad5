from xml.parsers import expat

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from queqiao_wechat.text import clean_text, fit, size, split_text

FAMILY = "👨‍👩‍👧‍👦"
CLUSTERS = [FAMILY, "👍🏽", "🇨🇳", "❤️", "e\u0301", "한", "1️⃣", "中", "a", "。", " ", "\n", "!"]
LINK = '<a href="https://a.example/?q=1.2">点这里。 看 一 看</a>'


def test_the_size_is_in_bytes():
    assert size("a中😀") == 1 + 3 + 4


@given(st.text())
def test_cleaned_text_is_legal_in_xml(text):
    cleaned = clean_text(text)

    expat.ParserCreate().Parse(f"<x><![CDATA[{cleaned.replace(']]>', '')}]]></x>".encode(), True)
    assert clean_text(cleaned) == cleaned


def test_only_what_cannot_be_shown_is_cleaned():
    assert (
        clean_text("a\r\nb\rc\td\x00\x08\x1b\x7f\x9f\ud83d\ufdd0\ufffe\U0010ffff") == "a\nb\nc\td"
    )
    assert clean_text(f"{FAMILY}中文 <&>]]>\u200b\u202f") == f"{FAMILY}中文 <&>]]>\u200b\u202f"


@given(
    text=st.one_of(st.text(max_size=300), st.text("ab。！,， \n<>/=\ud800", max_size=300)),
    limit=st.integers(4, 64),
)
def test_parts_fit_and_lose_nothing(text, limit):
    parts = split_text(text, limit)

    assert "".join(parts) == text
    assert all(part and size(part) <= limit for part in parts)


@given(clusters=st.lists(st.sampled_from(CLUSTERS), max_size=60), limit=st.integers(25, 80))
def test_no_cluster_is_torn(clusters, limit):
    """Half of a family emoji is another emoji, half of a flag a letter in a box."""
    text = "".join(clusters)
    whole = {match.end() for match in regex.finditer(r"\X", text)}

    end = 0
    for part in split_text(text, limit):
        end += len(part)
        assert end in whole


@given(
    before=st.text("ab中。, \n", max_size=60),
    after=st.text("ab中。, \n", max_size=60),
    limit=st.integers(size(LINK), 120),
)
def test_no_link_is_torn(before, after, limit):
    """Half of a link shows as source code."""
    parts = split_text(before + LINK + after, limit)

    assert any(LINK in part for part in parts)


def test_a_cluster_or_link_over_the_limit_is_cut_all_the_same():
    assert split_text(FAMILY, 8)[0] == "👨\u200d"
    assert "".join(split_text(LINK * 3, 20)) == LINK * 3


@pytest.mark.parametrize(
    ("limit", "head", "rest"),
    [
        pytest.param(30, "第一段。还是。\n\n", "第二段第二段", id="paragraph"),
        pytest.param(30, "第一句。第二句。", "第三句很长", id="sentence"),
        pytest.param(30, "他说：“好。”", "她不说话，走了", id="after the quote"),
        pytest.param(42, "短。\n\n第二段的第一句。", "第二句第三句", id="not too early"),
        pytest.param(30, "值为 3.14159 与 2.71828 ", "以及", id="not in a number"),
        pytest.param(30, "没有句号的话，", "只有逗号而且很长", id="clause"),
        pytest.param(30, "早。", "没有别的标点的一句很长的话", id="better early than never"),
        pytest.param(30, "没有任何标点的一句非", "常长的话", id="character"),
        pytest.param(30, "I said so and then I slept a ", "lot", id="word"),
    ],
)
def test_the_cut_is_where_a_reader_would_pause(limit, head, rest):
    assert fit(head + rest, limit) == (head, rest)


def test_what_fits_is_not_cut():
    assert fit("中文", 6) == ("中文", "")
    assert fit("", 4) == ("", "")
    assert split_text("", 4) == []


def test_a_limit_below_one_character_is_refused():
    with pytest.raises(ValueError, match="limit of 3 bytes"):
        split_text("a", 3)


def test_a_long_answer_takes_as_few_parts_as_it_can():
    """The quota counts messages: 4000 bytes of sentences are two of 2048, not three."""
    text = "这是一句普通长度的话。" * 121

    assert size(text) == 3993
    assert [size(part) for part in split_text(text, 2048)] == [2046, 1947]


@pytest.mark.parametrize("hostile", ["<a ", "<a>", "<a href=x>", "\u0301", "🇨", "\n", "。", "."])
def test_hostile_repetition_is_cut_like_any_text(hostile):
    text = hostile * 5000

    assert "".join(split_text(text, 2048)) == text
