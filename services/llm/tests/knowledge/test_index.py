import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queqiao_common.knowledge import Chunk, Document, codes, fold
from queqiao_llm.knowledge import index as index_module
from queqiao_llm.knowledge.index import K1, B, Index
from queqiao_llm.knowledge.postings import build, merge

from services.llm.tests.knowledge.documents import document

TEXTS = st.lists(st.text(alphabet="甲乙丙丁 ab1，", max_size=30), min_size=1, max_size=4)
CHANGES = st.lists(
    st.dictionaries(st.sampled_from("uvwxyz"), st.none() | TEXTS, min_size=1, max_size=4),
    max_size=8,
)


def made(texts: list[str]) -> Document:
    chunks = tuple(Chunk("", text) for text in texts)
    return Document(title="t", source="s", digest="", added_ms=0, chunks=chunks)


def expected(texts: list[str], query: str) -> dict[str, float]:
    """BM25, as it is written in books."""
    terms = [Counter(codes(fold(text))) for text in texts]
    lengths = [sum(one.values()) for one in terms]
    average = sum(lengths) / len(lengths) or 1.0
    scores: dict[str, float] = {}
    for text, one, length in zip(texts, terms, lengths, strict=True):
        score = 0.0
        for code in set(codes(fold(query))):
            having = sum(code in other for other in terms)
            rarity = math.log1p((len(texts) - having + 0.5) / (having + 0.5))
            base = K1 * (1 - B + B * length / average)
            score += rarity * (K1 + 1) * one[code] / (one[code] + base)
        scores[text] = score
    return scores


@given(texts=TEXTS, query=st.text(alphabet="甲乙丙丁 ab1", max_size=8))
def test_scores_are_those_of_bm25(texts, query):
    index = Index()
    index.change({"c/d": made(texts)})

    found = index.by_words(dict.fromkeys(codes(fold(query)), 1.0), 100)

    wanted = sorted((score for score in expected(texts, query).values() if score > 0), reverse=True)
    if len(set(texts)) == len(texts):
        assert [one.score for one in found] == pytest.approx(wanted, rel=1e-3)


@settings(max_examples=60)
@given(changes=CHANGES, small=st.booleans())
def test_after_any_changes_it_holds_what_was_put_last(changes, small):
    """Blocks are merged on the way: no chunk may be lost, doubled, or come back."""
    index, holds = Index(), {}
    blocks = index_module.MAX_BLOCKS
    index_module.MAX_BLOCKS = 1 if small else blocks
    try:
        for change in changes:
            index.change({f"c/{key}": one and made(one) for key, one in change.items()})
            holds |= change
    finally:
        index_module.MAX_BLOCKS = blocks

    query = dict.fromkeys(codes(fold("甲乙 乙甲 甲甲 a b ab 1")), 1.0)
    found = [(one.found[0].key, one.found[1].text) for one in index.by_words(query, 1000)]
    here = [
        (f"c/{key}", text)
        for key, texts in holds.items()
        for text in texts or ()
        if not query.keys().isdisjoint(codes(fold(text)))
    ]
    assert Counter(found) == Counter(here)
    assert len(index) == sum(len(texts or ()) for texts in holds.values())


def test_a_heading_counts_more_than_the_text():
    index = Index()
    index.change(
        {"c/d": document(chunks={"退款时限": "见下文说明。", "其他": "关于退款时限，见上。"})}
    )

    [first, *_] = index.by_words(dict.fromkeys(codes("退款时限"), 1.0), 5)

    assert first.found[1].heading == "退款时限"


def test_merging_keeps_vectors_with_their_chunks():
    vectors = np.eye(3, dtype="<f2")
    first = document(
        chunks={"一": "甲乙", "二": "丙丁"}, dimensions=3, vectors=vectors[:2].tobytes()
    )
    second = document(chunks={"三": "戊己"}, dimensions=3, vectors=vectors[2:].tobytes())

    block = merge([build({"c/a": first}).without(["c/x"]), build({"c/b": second})])

    assert block.vectors is not None
    assert block.vectors.cosines(np.float32([0, 0, 1])) == pytest.approx([0, 0, 1], abs=0.01)


def test_the_nearest_in_meaning_comes_first():
    vectors = np.array([[1, 0], [0.6, 0.8]], "<f2")
    index = Index()
    index.change(
        {"c/d": document(chunks={"一": "甲", "二": "乙"}, dimensions=2, vectors=vectors.tobytes())}
    )

    found = index.by_meaning([0.0, 5.0], 5)

    assert [(one.found[1].heading, round(one.score, 1)) for one in found] == [("二", 0.8)]


def test_vectors_of_another_model_are_not_compared():
    """A collection whose documents were added with two models is searched by words alone."""
    index = Index()
    one = np.ones((3, 2), "<f2").tobytes()
    index.change({"c/a": document(dimensions=2, vectors=one), "c/b": document()})

    assert index.by_meaning([1.0, 0.0], 5) == []


def test_an_empty_index_finds_nothing():
    assert Index().by_words({1: 1.0}, 5) == []
    assert Index().by_meaning([1.0], 5) == []
