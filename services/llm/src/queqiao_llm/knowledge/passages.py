"""The port that passages are found through, and what is done with whatever finds them. Pure."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from queqiao_llm.knowledge.asking import Asking, Sought

CANDIDATES = 50
"""Chunks of each ranking that are looked at."""
JUDGED = 16
"""Of them, the best that are compared with the question word by word."""
DAMP = 60
"""How little the first places differ when rankings are fused (reciprocal rank fusion)."""
NEAR_BEST = 0.6
"""Share of the best score below which a passage only distracts."""


class Passage(Struct, frozen=True):
    """A chunk that was found: `key` of its document, `score` from 0 to 1."""

    key: str
    title: str
    heading: str
    text: str
    place: str = ""
    score: float = 0.0


class Candidate(Struct, frozen=True):
    """A chunk that may answer, with the cosine of its meaning where that is known."""

    passage: Passage
    similarity: float = 0.0


class Passages(Protocol):
    """Where chunks are searched: in this process, or in a vector store."""

    async def candidates(
        self, collections: Sequence[str], sought: Sought, vector: Sequence[float] | None
    ) -> list[Candidate]:
        """Return the chunks that may answer, the best first.

        Raises:
            QueqiaoError: the store does not answer.
        """


def fused(rankings: Iterable[Sequence[Candidate]]) -> list[Candidate]:
    """Return one ranking of several: what is high up in more than one comes first."""
    scores: dict[tuple[str, str, str], float] = {}
    best: dict[tuple[str, str, str], Candidate] = {}
    for ranking in rankings:
        for rank, one in enumerate(ranking):
            same = (one.passage.key, one.passage.heading, one.passage.text)
            scores[same] = scores.get(same, 0.0) + 1 / (DAMP + rank)
            if same not in best or one.similarity > best[same].similarity:
                best[same] = one
    return [best[same] for same in sorted(scores, key=lambda same: -scores[same])]


class Limits(Struct, frozen=True):
    """What may be given to a model, and what is too little to answer by."""

    least: float
    least_similar: float
    passages: int
    max_chars: int


def judged(
    candidates: Sequence[Candidate], sought: Sought, asking: Asking, limits: Limits
) -> list[Passage]:
    """Return the passages that speak of what is asked, best first, as many as a model may be given.

    A cosine above `least_similar` counts as if the words were there.
    """
    scored = [_scored(one, sought, asking, limits) for one in candidates[:JUDGED]]
    scored.sort(key=lambda one: -one.score)
    if not scored or scored[0].score < limits.least:
        return []
    enough = max(limits.least, NEAR_BEST * scored[0].score)
    return _fitting([one for one in scored if one.score >= enough], limits)


def _scored(one: Candidate, sought: Sought, asking: Asking, limits: Limits) -> Passage:
    passage = one.passage
    support = asking.support(sought, f"{passage.heading}\n{passage.text}")
    likeness = asking.likeness(sought, passage.heading)
    score = min(1.0, support * (0.9 + 0.1 * likeness))
    if one.similarity >= limits.least_similar:
        score = max(score, one.similarity)
    return Passage(**{name: getattr(passage, name) for name in _KEPT}, score=round(score, 4))


_KEPT = ("key", "title", "heading", "text", "place")


def _fitting(passages: Sequence[Passage], limits: Limits) -> list[Passage]:
    """Return as many of the best as fit; the first in any case."""
    kept: list[Passage] = []
    left = limits.max_chars
    for one in passages[: limits.passages]:
        if kept and len(one.text) > left:
            continue
        kept.append(one)
        left -= len(one.text)
    return kept
