"""What to do with the answers that lie near a question. Pure."""

from collections.abc import Iterable

from msgspec import Struct
from queqiao_common.settings import Cache

from queqiao_llm.answers import Answer
from queqiao_llm.differences import difference
from queqiao_llm.matching import Vocabulary

CANDIDATES = 24
"""How many of the nearest are looked at."""
CHOICES = 3
"""How many are offered: a menu of more is not read."""


WORDS_ALONE = frozenset({"wording", "mode"})
"""Differences that may be none: the words, and whether one asks how or whether."""


class Near(Struct, frozen=True):
    """An answer, and how like its question is to the one that was asked (0 to 1)."""

    answer: Answer
    score: float


class Given(Struct, frozen=True):
    """The answer to be given."""

    answer: Answer
    score: float = 1.0


class Offered(Struct, frozen=True):
    """The answers from which the user may choose."""

    answers: tuple[Answer, ...]
    score: float


def choose(
    question: str, nearest: Iterable[Near], rules: Cache, vocabulary: Vocabulary
) -> Given | Offered | None:
    """Give the answer to the same question in other words, else offer what may be meant.

    `nearest` come best first.
    """
    candidates = list(nearest)
    same = given(question, candidates, rules.near, vocabulary)
    if same is not None:
        return same
    offers = [one for one in candidates if one.score >= rules.offer and is_offered(one, rules)]
    if not offers:
        return None
    return Offered(tuple(one.answer for one in offers[:CHOICES]), offers[0].score)


def given(
    question: str,
    nearest: Iterable[Near],
    least: float,
    vocabulary: Vocabulary,
    *,
    tolerated: frozenset[str] = frozenset(),
) -> Given | None:
    """Return the first answer, of this score at least, to a question that asks the same."""
    for one in nearest:
        if one.score < least:
            break
        facet = difference(question, one.answer.question, vocabulary)
        if not facet or facet in tolerated:
            return Given(one.answer, one.score)
    return None


def nearly(
    question: str, nearest: Iterable[Near], least: float, vocabulary: Vocabulary
) -> Given | None:
    """Return an answer for when there is none: to something like it, in other words perhaps.

    Whoever gives it must say what it answers.
    """
    return given(question, nearest, least, vocabulary, tolerated=WORDS_ALONE)


def is_offered(near: Near, rules: Cache) -> bool:
    """Tell whether an answer may stand in a menu.

    By default only what operators keep: among all that users ever asked, something is always near,
    and a menu in the place of an answer is a nuisance.
    """
    return rules.menu == "all" or (rules.menu == "curated" and near.answer.is_curated)
