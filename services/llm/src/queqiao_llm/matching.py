"""Which stored question is the nearest to one that was asked. Pure.

Questions are compared by their characters and pairs of characters, after what says nothing has been
taken out and what says the same has been made the same. Weights are fixed rather than learnt from
the collection: a pair counts one and a half times as much as a character. A score thus means the
same with five stored questions as with ten thousand, nothing is computed anew when one is added,
and a word that no stored question has lowers the score of all (docs/adr/0010).
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from itertools import pairwise

from queqiao_llm.vocabulary import FILLERS, SYNONYMS, WHOLE

PAIR = 1.5

_SPACES = re.compile(r"(?<![0-9a-z]) | (?![0-9a-z])")
_MARKS = re.compile(
    r"""(?<![0-9])[.:,\-]|[.:,\-](?![0-9])|[;!?'"()\[\]{}…—~·、。《》〈〉「」『』【】“”‘’]"""
)


def normalise(text: str) -> str:
    """Return a question as it is compared exactly: without width, case, spaces and punctuation.

    What may carry meaning stays: the point in 1.5, the sign in c++ or 50%.
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    return _SPACES.sub("", " ".join(_MARKS.sub(" ", folded).split()))


class Vocabulary:
    """Takes out fillers and replaces synonyms, in one pass, the longest word first.

    `synonyms` are groups beyond our own; the first word of a group stands for all, and a word that
    is in a group of theirs is no longer in one of ours.
    """

    def __init__(self, synonyms: Iterable[Sequence[str]] = ()) -> None:
        self._stands_for = dict.fromkeys(FILLERS.split(), "")
        own = (line.split() for line in SYNONYMS.strip().splitlines())
        for group in (*own, *synonyms):
            words = [normalise(word) for word in group]
            self._stands_for |= dict.fromkeys(words, words[0])
        self._stands_for |= {word: word for word in WHOLE.split()}
        longest_first = sorted(filter(None, self._stands_for), key=len, reverse=True)
        self._words = re.compile("|".join(map(re.escape, longest_first)))

    def canonical(self, text: str) -> str:
        """Return what a question says; all of it where it consists of nothing but fillers."""
        whole = normalise(text)
        return self._words.sub(lambda word: self._stands_for[word[0]], whole) or whole

    def weights(self, text: str) -> dict[str, float]:
        """Return the weight of each character and pair of a question; their squares add up to 1."""
        said = self.canonical(text)
        counts = Counter(said) + Counter(map("".join, pairwise(said)))
        raw = {
            gram: (1 + math.log(count)) * (PAIR if len(gram) > 1 else 1.0)
            for gram, count in counts.items()
        }
        length = math.sqrt(sum(weight * weight for weight in raw.values())) or 1.0
        return {gram: weight / length for gram, weight in raw.items()}


class Index:
    """Questions, each under a key, to be searched by likeness."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._questions: dict[str, Mapping[str, float]] = {}
        self._postings: dict[str, dict[str, float]] = {}

    def __len__(self) -> int:
        return len(self._questions)

    def add(self, key: str, question: str) -> None:
        """Take in a question, in the place of the one under this key."""
        self.remove(key)
        weights = self._questions[key] = self._vocabulary.weights(question)
        for gram, weight in weights.items():
            self._postings.setdefault(gram, {})[key] = weight

    def remove(self, key: str) -> None:
        """Forget a question, if there is one under this key."""
        for gram in self._questions.pop(key, ()):
            posting = self._postings[gram]
            del posting[key]
            if not posting:
                del self._postings[gram]

    def search(self, question: str, count: int) -> list[tuple[str, float]]:
        """Return the keys of the nearest questions with their scores (0 to 1), best first."""
        scores: dict[str, float] = {}
        for gram, weight in self._vocabulary.weights(question).items():
            for key, other in self._postings.get(gram, {}).items():
                scores[key] = scores.get(key, 0.0) + weight * other
        return nlargest(count, scores.items(), key=lambda scored: scored[1])
