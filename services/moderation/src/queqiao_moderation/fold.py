"""Folding: what a text looks like once every way of disguising a letter is taken away.

Folded are full-width, circled and mathematical forms, case, accents and strokes, and traditional
characters; dropped is whatever is no letter or digit, so that `加.微.信` and `赌 博` become words
again. An index leads from each folded letter back to its character in the text.
"""

import re
import unicodedata
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise

REMEMBERED = 30_000
"""Characters whose folding is kept: more than a language uses, less than an attacker can send."""

INVISIBLE = frozenset({"Mn", "Me", "Cf"})
"""Categories that take no room between two letters: accents, joiners, directions."""

FILLERS = frozenset("\u115f\u1160")
"""Letters by category, blanks by look (Hangul fillers)."""

CLAUSE_END = re.compile(r"[。！？!?…；;，,、：:\n\r\u2028\u2029]|\.\s")


@dataclass(frozen=True, slots=True)
class Folded:
    """`letters` are the folded text; `places[i]` is where letter i stands in the original."""

    letters: str
    places: list[int]


def fold(text: str) -> Folded:
    """Fold a text. Folding what is folded changes nothing."""
    folds = [_FOLDS[character] for character in text]
    places: list[int] = []
    for place, letters in enumerate(folds):
        if letters:
            places += (place,) if len(letters) == 1 else (place,) * len(letters)
    return Folded("".join(folds), places)


def joints(word: str, folded: Folded) -> frozenset[int]:
    """Return after which letters a listed word itself has a gap, as in `free money`."""
    if not _has_gaps(folded.places):
        return frozenset()
    return frozenset(index for index, gap in enumerate(_gaps(word, folded.places)) if _width(gap))


def is_word(
    text: str, folded: Folded, start: int, end: int, own: frozenset[int] = frozenset()
) -> bool:
    """Tell whether the letters from `start` to `end` were meant to be read as one word.

    What stands between the letters decides, since dropping it also joins what never belonged
    together (`去赌。博物馆`, `the pen is`); a word's `own` gaps (see `joints`) may hold anything.

    - All of it together has at most twice as many characters as there are letters.
    - A clause may only end within the word, and Latin letters or digits may only stand apart, where
      every letter stands apart, as in `f u c k` (and, for a clause, there are at least three).
    - A run of Latin letters, or of digits, counts from its beginning to its end: `ass` is not in
      `class`, nor `8964` in a telephone number.
    """
    places = folded.places
    if _continues(text, folded, start - 1) or _continues(text, folded, end - 1):
        return False
    if not _has_gaps(places[start:end]):
        return True
    letters = pairwise(folded.letters[start:end])
    gaps = zip(letters, _gaps(text, places[start:end]), strict=True)
    inner = [(pair, gap, _width(gap)) for index, (pair, gap) in enumerate(gaps) if index not in own]
    if sum(width for _, _, width in inner) > 2 * (end - start):
        return False
    apart = all(width for _, _, width in inner)
    if any(CLAUSE_END.search(gap) for _, gap, _ in inner):
        return apart and len(inner) > 1
    return apart or not any(width and _same_run(*pair) for pair, _, width in inner)


def _has_gaps(places: list[int]) -> bool:
    return bool(places) and places[-1] - places[0] >= len(places)


def _gaps(text: str, places: list[int]) -> list[str]:
    return [text[a + 1 : b] for a, b in pairwise(places)]


def _width(gap: str) -> int:
    """Count what a reader sees of a gap."""
    return sum(unicodedata.category(character) not in INVISIBLE for character in gap)


def _continues(text: str, folded: Folded, left: int) -> bool:
    """Tell whether letter `left` and the next are of one run of Latin letters, or of digits."""
    if left < 0 or left + 1 >= len(folded.letters):
        return False
    if not _same_run(folded.letters[left], folded.letters[left + 1]):
        return False
    return not _width(text[folded.places[left] + 1 : folded.places[left + 1]])


def _same_run(a: str, b: str) -> bool:
    return (_is_latin(a) and _is_latin(b)) or (a.isdecimal() and b.isdecimal())


def _is_letter(character: str) -> bool:
    return character.isalnum() and character not in FILLERS


def _is_latin(letter: str) -> bool:
    return "a" <= letter <= "z"


def _read_simplified() -> dict[int, str]:
    lines = files("queqiao_moderation").joinpath("simplified.txt").read_text("utf-8").splitlines()
    pairs = "".join(line for line in lines if not line.startswith("#"))
    return {ord(a): b for a, b in zip(pairs[::2], pairs[1::2], strict=True)}


class _Folds(dict[str, str]):
    """The folding of each character met so far."""

    def __init__(self) -> None:
        super().__init__()
        self._simplified = _read_simplified()

    def __missing__(self, character: str) -> str:
        letters = unicodedata.normalize("NFKD", character).casefold()
        letters = unicodedata.normalize("NFKD", letters)
        letters = "".join(
            letter for letter in letters if letter.isalnum() and letter not in FILLERS
        )
        letters = unicodedata.normalize("NFC", letters).translate(self._simplified)
        if len(self) < REMEMBERED:
            self[character] = letters
        return letters


_FOLDS = _Folds()
