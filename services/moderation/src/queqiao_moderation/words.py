"""Finding any of many words in a text, however disguised: Aho-Corasick over folded letters."""

import importlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct

from queqiao_moderation.fold import Folded, fold, is_word, joints


class Match(Struct, frozen=True):
    """Word number `word` of the list stands at `text[start:end]`, what is between it included."""

    word: int
    start: int
    end: int


class Engine(Protocol):
    """An automaton; finds every `(start, end, pattern)`, overlapping ones too."""

    def find_overlapping(self, haystack: str, /) -> list[tuple[int, int, int]]:
        """Return all matches."""
        ...


class _Pattern(Struct, frozen=True):
    """The number of a word in its list, and after which letters it has gaps itself."""

    word: int
    own: frozenset[int]


class Words:
    """A list of words that texts are searched for.

    Words are folded as texts are. Those of which nothing remains (empty, or punctuation alone)
    never match; of words that fold alike, the first is reported.
    """

    def __init__(self, words: Sequence[str]) -> None:
        patterns: dict[str, _Pattern] = {}
        for number, word in enumerate(words):
            folded = fold(word)
            own = joints(word, folded)
            known = patterns.get(folded.letters, _Pattern(number, own))
            patterns[folded.letters] = _Pattern(known.word, known.own | own)
        patterns.pop("", None)
        self._patterns = list(patterns.values())
        self._engine = build_engine(list(patterns)) if patterns else None

    def __len__(self) -> int:
        return len(self._patterns)

    def find(self, text: str, folded: Folded) -> list[Match]:
        """Return the matches that lie within no longer one, by place."""
        if self._engine is None:
            return []
        found = [
            one
            for one in self._engine.find_overlapping(folded.letters)
            if is_word(text, folded, one[0], one[1], self._patterns[one[2]].own)
        ]
        return [
            Match(self._patterns[number].word, folded.places[start], folded.places[end - 1] + 1)
            for start, end, number in _longest(found)
        ]


def _longest(found: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    reached = 0
    for start, end, number in sorted(found, key=lambda one: (one[0], -one[1])):
        if end > reached:
            reached = end
            yield start, end, number


def build_engine(patterns: list[str]) -> Engine:
    """Build the automaton with whichever engine this platform has a wheel of."""
    try:
        daachorse = importlib.import_module("daachorse")
    except ImportError:
        return RustEngine(patterns)
    engine: Engine = daachorse.CharwiseDoubleArrayAhoCorasick(patterns)
    return engine


class RustEngine:
    """`ahocorasick_rs`, for Linux on ARM; it reports `(pattern, start, end)`."""

    def __init__(self, patterns: list[str]) -> None:
        self._automaton = importlib.import_module("ahocorasick_rs").AhoCorasick(patterns)

    def find_overlapping(self, haystack: str, /) -> list[tuple[int, int, int]]:
        """Return all matches."""
        found = self._automaton.find_matches_as_indexes(haystack, overlapping=True)
        return [(start, end, number) for number, start, end in found]
