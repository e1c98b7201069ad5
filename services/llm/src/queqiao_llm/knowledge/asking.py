"""A question as it is looked up: its terms, what they may be called else, what it says. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from queqiao_common.events import Prompt
from queqiao_common.knowledge import codes, fold, singles

from queqiao_llm.cacheable import unfit
from queqiao_llm.matching import Vocabulary, normalise
from queqiao_llm.vocabulary import SYNONYMS

ELSE = 0.5
"""What a word counts that was not said, but means the same as one that was."""
SINGLE = 0.3
"""What a character counts that a heading may have."""
_ASKED = re.compile("何时|哪里|为何|几")
PART = 0.8
"""What it counts that a text speaks of one clause of several."""
LEAST_CLAUSE = 4
"""Characters of a clause that says enough to be compared by itself."""
_CLAUSE = re.compile(r"[，。！？；、,!?;\s]+")
SHORT = 12
"""Characters below which a question may lean on the one before it."""
_SMALL_TALK = """
你好 您好 你好啊 您好啊 哈喽 hello hi 嗨 在吗 在不在 有人吗 早 早上好 上午好 中午好 下午好 晚上好
晚安 谢谢 谢谢你 谢谢您 多谢 感谢 好的谢谢 好的 好 嗯 嗯嗯 哦 ok 行 可以 收到 知道了 明白了 再见
拜拜 辛苦了 没事了 没有了 不用了 你是谁 您是谁 你叫什么 你叫什么名字 你是机器人吗 你是真人吗
你能做什么 你会什么 哈哈
"""


Weights = Mapping[str, float]


class Sought(Struct, frozen=True):
    """What is searched for: the text, its terms with their weights, its characters and pairs.

    `content` are those that say what it is about, and `clauses` the same of its parts, where it has
    several: people tell a story and then ask.
    """

    text: str
    terms: Mapping[int, float]
    weights: Weights
    content: Weights
    clauses: tuple[Weights, ...] = ()


class Asking:
    """Turns questions into what is searched for; `synonyms` are groups beyond our own."""

    def __init__(self, synonyms: Iterable[Sequence[str]] = ()) -> None:
        self.vocabulary = Vocabulary(synonyms)
        own = (line.split() for line in SYNONYMS.strip().splitlines())
        self._groups = [tuple(map(normalise, group)) for group in (*own, *synonyms)]

    def sought(self, text: str) -> Sought:
        """Return what is searched for with a question."""
        folded = fold(text)
        terms = dict.fromkeys(singles(fold(self._content(text))), SINGLE)
        terms |= dict.fromkeys(codes(folded), 1.0)
        for word in self._meant(folded):
            for code in codes(word):
                terms.setdefault(code, ELSE)
        weights = self.vocabulary.weights
        return Sought(text, terms, weights(text), weights(self._content(text)), self._clauses(text))

    def support(self, sought: Sought, text: str) -> float:
        """Return how much of what is asked a text speaks of, from 0 to 1.

        Pairs of characters count more than characters, as for the answer cache: the measure means
        the same in a large collection as in a small one (docs/adr/0010).
        """
        said = self._content(text)
        whole = _share(sought.content, said)
        return max([whole, *(PART * _share(clause, said) for clause in sought.clauses)])

    def likeness(self, sought: Sought, heading: str) -> float:
        """Return how much a question and a heading say the same, from 0 to 1."""
        other = self.vocabulary.weights(heading) if heading else {}
        return sum(weight * other.get(gram, 0.0) for gram, weight in sought.weights.items())

    def _clauses(self, text: str) -> tuple[Weights, ...]:
        clauses = [one for one in _CLAUSE.split(text) if one.strip()]
        if len(clauses) < 2:
            return ()
        said = [one for one in map(self._content, clauses) if len(one) >= LEAST_CLAUSE]
        return tuple(map(self.vocabulary.weights, said))

    def _content(self, text: str) -> str:
        """Return what a text is about, without asking when, where or why: any passage says that."""
        said = self.vocabulary.canonical(text)
        return _ASKED.sub("", said) or said

    def _meant(self, folded: str) -> Iterable[str]:
        for group in self._groups:
            if any(word in folded for word in group):
                yield from group


def _share(weights: Weights, said: str) -> float:
    return sum(weight**2 for gram, weight in weights.items() if gram in said)


def questions_of(prompt: Sequence[Prompt]) -> tuple[str, ...]:
    """Return what to search for: the question, and with the one before it where it leans on that.

    Nothing where nothing is asked.
    """
    asked = [one.content.strip() for one in prompt if one.role == "user"]
    if not asked or is_small_talk(asked[-1]):
        return ()
    question = asked[-1]
    leans = len(normalise(question)) <= SHORT or unfit(question) == "context"
    if len(asked) > 1 and leans:
        return question, f"{asked[-2]}\n{question}"
    return (question,)


def is_small_talk(text: str) -> bool:
    """Whether a text greets, thanks or asks who is there: no document answers that."""
    said = normalise(text)
    return not said or not {said, said.rstrip("~呀啊呢哦哈吧")}.isdisjoint(_SMALL_TALK.split())
