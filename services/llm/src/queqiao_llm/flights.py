"""One model call for one question, however many ask it at once, on however many replicas.

The first who asks takes a lease, a document under the question's key that only one can create;
the others wait for the answer that takes its place. A lease is short and renewed while its holder
lives: when it runs out, its holder is dead and the next one takes over. When its holder gives up,
those who waited ask for themselves.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Callable

from msgspec import structs
from queqiao_common.errors import QueqiaoError
from queqiao_common.kv import Documents

from queqiao_llm import metrics
from queqiao_llm.answers import Answer
from queqiao_llm.book import Book

log = logging.getLogger(__name__)

LEASE = 10.0
"""Seconds after which a lease that is not renewed counts as left by a dead holder."""
RENEW = 4.0
PATIENCE = 2.0
"""Seconds that the broker may take; then everyone asks for themselves."""


class Landing:
    """How the flight of a lease ends: with this answer, or with none."""

    answer: Answer | None = None


class Flights:
    """The leases that this replica holds, and those of others that it waits for."""

    def __init__(
        self, documents: Documents[Answer], book: Book, *, now_ms: Callable[[], int]
    ) -> None:
        self._documents = documents
        self._book = book
        self._now_ms = now_ms
        self._held: dict[str, Answer] = {}

    async def board(self, key: str, question: str, *, within: float) -> Answer | None:
        """Return the answer that somebody fetched, or the lease that is now ours to fetch it with.

        None: it took longer than `within` seconds, its holder gave up, or the broker is away.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        while (left := until - loop.time()) > 0:
            known = self._book.at(key)
            if known is None:
                known = await self._take(key, question)
                if known is None or known is self._held.get(key):
                    return known
            if known.text:
                metrics.WAITS.labels("answered").inc()
                return known
            await self._book.change(key, within=min(left, self._left(known)))
            if self._book.at(key) is None and self._left(known) > 0:
                metrics.WAITS.labels("given_up").inc()
                return None
        metrics.WAITS.labels("timeout").inc()
        return None

    @contextlib.asynccontextmanager
    async def leading(self, key: str, lease: Answer) -> AsyncIterator[Landing]:
        """Keep a lease while an answer is fetched; then put the answer, or nothing, in its place.

        One that is interrupted is left to run out: whoever stops us has no time for the broker.
        """
        landing = Landing()
        try:
            yield landing
        except BaseException:
            self._held.pop(key, None)
            self._book.note(key, None)
            raise
        self._held.pop(key, None)
        await self._land(key, lease, landing.answer)

    async def renew(self) -> None:
        """Prolong the leases that we hold."""
        for key, lease in list(self._held.items()):
            longer = structs.replace(lease, expires_ms=self._now_ms() + int(LEASE * 1000))
            if await self._replace(key, lease, longer) and key in self._held:
                self._held[key] = longer

    def _left(self, lease: Answer) -> float:
        return (lease.expires_ms - self._now_ms()) / 1000

    async def _take(self, key: str, question: str) -> Answer | None:
        """Create a lease; return it, or what lies there instead. None: the broker is away."""
        lease = Answer(
            question=question,
            created_ms=self._now_ms(),
            expires_ms=self._now_ms() + int(LEASE * 1000),
            writer=uuid.uuid4().hex,
        )
        self._book.note(key, lease)  # who asks the same here meanwhile waits for us
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._create(key, lease)
        except (QueqiaoError, TimeoutError) as error:
            log.warning("cache.unavailable", extra={"error": type(error).__name__})
            self._book.note(key, None)
            return None
        if found is lease:
            self._held[key] = lease
        else:
            self._book.note(key, found)
        return found

    async def _create(self, key: str, lease: Answer) -> Answer:
        if await self._documents.create(key, lease):
            return lease

        def take_over(old: Answer | None) -> tuple[Answer | None, Answer]:
            ours = old is not None and old.writer == lease.writer  # its answer was lost
            if old is None or ours or old.is_over(self._now_ms()):
                return lease, lease
            return None, old

        return await self._documents.update(key, take_over)

    async def _land(self, key: str, lease: Answer, answer: Answer | None) -> None:
        """Put an answer in the place of a lease; without one, the lease ends now."""
        ended = structs.replace(lease, expires_ms=self._now_ms())
        if answer is not None and (oldest := self._book.excess()) is not None:
            await self._delete(oldest)
        if not await self._replace(key, lease, answer or ended):
            self._book.note(key, None)

    async def _replace(self, key: str, lease: Answer, new: Answer) -> bool:
        """Write over our own lease, or over nothing; never over what somebody else wrote."""

        def change(old: Answer | None) -> tuple[Answer | None, Answer]:
            ours = old is None or old.writer == lease.writer or old.is_over(self._now_ms())
            return (new, new) if ours or old is None else (None, old)

        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._documents.update(key, change)
        except (QueqiaoError, TimeoutError) as error:
            log.warning("cache.unavailable", extra={"error": type(error).__name__})
            return False
        self._book.note(key, found)
        return True

    async def _delete(self, key: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._documents.delete(key)
        except (QueqiaoError, TimeoutError) as error:
            log.warning("cache.unavailable", extra={"error": type(error).__name__})
        else:
            self._book.note(key, None)
