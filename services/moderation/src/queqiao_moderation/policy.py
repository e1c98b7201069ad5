"""The policy: what may be said, in which direction, and what becomes of what may not. Pure."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct
from queqiao_common.events import Verdict

from queqiao_moderation.fold import fold
from queqiao_moderation.words import Match, Words

Direction = Literal["in", "out"]
Action = Literal["block", "mask"]

ROUNDS = 8
"""How often a text is masked anew, as what closes up around a mask may be a word again."""


class ScreeningList(Struct, frozen=True):
    """A named list of words and what is done about them."""

    name: str
    action: Action
    directions: tuple[Direction, ...]
    words: Words


class Hit(Struct, frozen=True):
    """Evidence without the text: which word of which list (counted from 0), and where."""

    list: str
    word: int
    start: int
    end: int


class Judgement(Struct, frozen=True):
    """The verdict; `text` is what may be passed on: nothing of a blocked text."""

    verdict: Verdict
    text: str
    hits: tuple[Hit, ...] = ()


class Policy:
    """All lists, and the words that are allowed although a list has them.

    A hit is allowed where it lies within an allowed word: with `反赌博` allowed, `赌博` hits
    everywhere but there.
    """

    def __init__(
        self, lists: Iterable[ScreeningList] = (), *, allow: Words | None = None, mask: str = "*"
    ) -> None:
        self._lists = tuple(lists)
        self._allow = allow or Words(())
        self._mask = mask

    def judge(self, text: str, direction: Direction) -> Judgement:
        """Judge one text; without a hit it is returned unchanged.

        A masked text keeps its length in characters, and has no hit left.
        """
        blocking, masking = self._search(text, direction)
        if blocking:
            return Judgement(Verdict.BLOCKED, "", blocking + masking)
        if not masking:
            return Judgement(Verdict.PASS, text)
        masked, open_hits = text, masking
        for _ in range(ROUNDS):
            masked = _covered(masked, open_hits, self._mask)
            # What stood on both sides of a mask may now read as one word: covered as well, but it
            # was not said, so it neither blocks nor counts as evidence.
            again = self._search(masked, direction)
            open_hits = again[0] + again[1]
            if not open_hits:
                return Judgement(Verdict.MASKED, masked, masking)
        return Judgement(Verdict.BLOCKED, "", masking)

    def _search(self, text: str, direction: Direction) -> tuple[tuple[Hit, ...], tuple[Hit, ...]]:
        """Return the hits that block and those that mask."""
        folded = fold(text)
        hits: dict[Action, tuple[Hit, ...]] = {"block": (), "mask": ()}
        allowed: list[Match] | None = None
        for one in self._lists:
            if direction not in one.directions or not (matches := one.words.find(text, folded)):
                continue
            if allowed is None:
                allowed = self._allow.find(text, folded)
            hits[one.action] += tuple(
                Hit(one.name, match.word, match.start, match.end)
                for match in matches
                if not _is_within(match, allowed)
            )
        return hits["block"], hits["mask"]


def _is_within(match: Match, allowed: list[Match]) -> bool:
    return any(one.start <= match.start and match.end <= one.end for one in allowed)


def _covered(text: str, hits: tuple[Hit, ...], mask: str) -> str:
    for hit in hits:
        text = text[: hit.start] + mask * (hit.end - hit.start) + text[hit.end :]
    return text
