"""The bucket of answers as this replica has heard it, to be searched without asking the broker."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping

import msgspec
from queqiao_common.answers import Raw
from queqiao_common.events import UNREADABLE
from queqiao_common.topology import ANSWERS

from queqiao_llm import metrics
from queqiao_llm.answers import Answer, shelf_in
from queqiao_llm.lookup import CANDIDATES, Near
from queqiao_llm.matching import Index, Vocabulary

log = logging.getLogger(__name__)

KEYS = f"$KV.{ANSWERS.name}."

_decode = msgspec.json.Decoder(Answer).decode


class Book:
    """Every live answer and lease, by its key and by likeness.

    At most `limit` answers that are not pinned are remembered: the one that was used least lately
    makes room.
    """

    def __init__(self, vocabulary: Vocabulary, *, limit: int, now_ms: Callable[[], int]) -> None:
        self.vocabulary = vocabulary
        self._limit = limit
        self._now_ms = now_ms
        self._answers: dict[str, Answer] = {}
        self._loose: OrderedDict[str, None] = OrderedDict()
        self._shelves: dict[str, Index] = {}
        self._hits: dict[str, int] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def hear(self, raw: Raw) -> None:
        """Take over one write to the bucket. What cannot be read is as if it were not there."""
        key = raw.subject.removeprefix(KEYS)
        if _is_deletion(raw.headers):
            self.note(key, None)
            return
        try:
            answer = _decode(raw.data)
        except UNREADABLE as error:
            log.error("answer.unreadable", extra={"key": key, "detail": str(error)[:200]})
            self.note(key, None)
        else:
            self.note(key, answer)

    def note(self, key: str, answer: Answer | None) -> None:
        """Know from now on that this lies under a key, and wake those who wait for a change."""
        if answer is None or answer.is_over(self._now_ms()):
            self._forget(key)
        else:
            self._keep(key, answer)
        for waiting in self._waiting.get(key, ()):
            if not waiting.done():
                waiting.set_result(None)
        metrics.ANSWERS.set(len(self._loose))

    def at(self, key: str) -> Answer | None:
        """Return the answer, or the lease, that lies under a key and has not expired."""
        answer = self._answers.get(key)
        if answer is None or not answer.is_over(self._now_ms()):
            return answer
        if answer.text:
            metrics.LOOKUPS.labels("stale").inc()
        self._forget(key)
        return None

    def nearest(self, shelf: str, question: str) -> list[Near]:
        """Return the live answers whose questions are the most like this one, best first."""
        index = self._shelves.get(shelf)
        found = index.search(question, CANDIDATES) if index else []
        return [Near(answer, score) for key, score in found if (answer := self.at(key))]

    def use(self, key: str) -> None:
        """Note that an answer was given."""
        if key in self._answers:
            self._hits[key] = self._hits.get(key, 0) + 1
        if key in self._loose:
            self._loose.move_to_end(key)

    def take_hits(self) -> Mapping[str, int]:
        """Return how often each answer was given since the last time."""
        hits, self._hits = self._hits, {}
        return hits

    def excess(self) -> str | None:
        """Return which answer makes room for another, when there is none."""
        return next(iter(self._loose)) if len(self._loose) >= self._limit else None

    async def change(self, key: str, *, within: float) -> None:
        """Wait until something is written under a key, but not longer than `within` seconds."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(waiting)
        try:
            await asyncio.wait([waiting], timeout=max(within, 0.001))
        finally:
            self._waiting[key].discard(waiting)
            if not self._waiting[key]:
                del self._waiting[key]

    async def sweep(self) -> None:
        """Forget what has expired."""
        for key in list(self._answers):
            self.at(key)

    def _keep(self, key: str, answer: Answer) -> None:
        known = self._answers.get(key)
        self._answers[key] = answer
        if not answer.text:
            return
        if known is None or known.question != answer.question or not known.text:
            shelf = self._shelves.setdefault(shelf_in(key), Index(self.vocabulary))
            shelf.add(key, answer.question)
        if answer.pinned:
            self._loose.pop(key, None)
        else:
            self._loose[key] = None
            if len(self._loose) > self._limit:
                self._forget(next(iter(self._loose)))

    def _forget(self, key: str) -> None:
        self._answers.pop(key, None)
        self._loose.pop(key, None)
        self._hits.pop(key, None)
        shelf = self._shelves.get(shelf_in(key))
        if shelf is not None:
            shelf.remove(key)
            if not len(shelf):
                del self._shelves[shelf_in(key)]


def _is_deletion(headers: Mapping[str, str] | None) -> bool:
    return not {"KV-Operation", "Nats-Marker-Reason"}.isdisjoint(headers or ())
