"""What the cache does with the examples. Deterministic."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct
from queqiao_common.settings import Cache
from queqiao_llm.answers import Answer
from queqiao_llm.cacheable import unfit
from queqiao_llm.lookup import CANDIDATES, Given, Near, choose
from queqiao_llm.matching import Index, Vocabulary, normalise

from evals.cache.examples import Half

Outcome = Literal["answer", "menu", "model"]


class Reply(Struct, frozen=True):
    """What a user would get: one answer, a menu of questions, or what the model says."""

    outcome: Outcome
    questions: tuple[str, ...] = ()


class Stored:
    """A cache that holds answers to these questions, all kept by an operator."""

    def __init__(self, questions: Iterable[str], rules: Cache | None = None) -> None:
        self._rules = rules or Cache()
        self._vocabulary = Vocabulary(self._rules.synonyms)
        self._index = Index(self._vocabulary)
        for question in questions:
            self._index.add(question, question)
        self._exact = {normalise(question): question for question in questions}

    def ask(self, question: str) -> Reply:
        """Ask as a user does, without a history."""
        if unfit(question):
            return Reply("model")
        if exact := self._exact.get(normalise(question)):
            return Reply("answer", (exact,))
        found = choose(question, self.nearest(question), self._rules, self._vocabulary)
        if found is None:
            return Reply("model")
        if isinstance(found, Given):
            return Reply("answer", (found.answer.question,))
        return Reply("menu", tuple(one.question for one in found.answers))

    def nearest(self, question: str) -> list[Near]:
        """Search, as the service does."""
        return [
            Near(Answer(question=key, text="x", created_ms=0, pinned=True), score)
            for key, score in self._index.search(question, CANDIDATES)
        ]


class Result(Struct, frozen=True):
    """Counts over one half of the examples."""

    wordings: int
    answered: int
    offered: int
    wrong_wordings: tuple[tuple[str, str], ...]
    near: int
    near_offered: int
    wrong_near: tuple[tuple[str, str], ...]
    unrelated: int
    unrelated_offered: int
    wrong_unrelated: tuple[tuple[str, str], ...]

    @property
    def served(self) -> float:
        """The share of rewordings that got their answer, or a menu that has it."""
        return (self.answered + self.offered) / self.wordings

    @property
    def wrong(self) -> tuple[tuple[str, str], ...]:
        """Who got an answer to something else: what was asked, and what was answered."""
        return self.wrong_wordings + self.wrong_near + self.wrong_unrelated

    @property
    def asked(self) -> int:
        """All that was asked."""
        return self.wordings + self.near + self.unrelated


def measure(stored: Stored, half: Half) -> Result:
    """Ask everything of one half."""
    reworded = [
        (text, one.question, stored.ask(text)) for one in half.questions for text in one.wordings
    ]
    near = [(text, stored.ask(text)) for one in half.questions for text in one.near]
    unrelated = [(text, stored.ask(text)) for text in half.unrelated]
    return Result(
        wordings=len(reworded),
        answered=sum(reply == Reply("answer", (wanted,)) for _, wanted, reply in reworded),
        offered=sum(
            reply.outcome == "menu" and wanted in reply.questions for _, wanted, reply in reworded
        ),
        wrong_wordings=tuple(
            (text, reply.questions[0])
            for text, wanted, reply in reworded
            if reply.outcome == "answer" and reply.questions != (wanted,)
        ),
        near=len(near),
        near_offered=_menus(near),
        wrong_near=_answered(near),
        unrelated=len(unrelated),
        unrelated_offered=_menus(unrelated),
        wrong_unrelated=_answered(unrelated),
    )


def _menus(replies: list[tuple[str, Reply]]) -> int:
    return sum(reply.outcome == "menu" for _, reply in replies)


def _answered(replies: list[tuple[str, Reply]]) -> tuple[tuple[str, str], ...]:
    return tuple((text, reply.questions[0]) for text, reply in replies if reply.outcome == "answer")
