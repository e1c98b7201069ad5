"""Who reads an answer while it is being written: told of every change, by whichever replica.

Every replica hears every write to the bucket `pages`, and passes on those that somebody reads here.
The number of open streams is bounded: each costs a connection for as long as an answer takes.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import msgspec
from prometheus_client import Gauge
from queqiao_common.answers import Raw
from queqiao_common.pages import Page

PAUSE = 0.4
"""Seconds between two changes that are shown: each is rendered anew as a whole."""

READING = Gauge("queqiao_ingress_page_streams", "Pages kept up to date by this replica.")

_decode = msgspec.json.Decoder(Page).decode


class Reader:
    """One open stream: the newest state of its page that it has not shown yet."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._bell = asyncio.Event()
        self._news: Page | None = None

    def tell(self, page: Page) -> None:
        """Take the newest state of the page."""
        self._news = page
        self._bell.set()

    async def follow(self, page: Page, *, heartbeat: float) -> AsyncIterator[Page | None]:
        """Yield the page, every change of it until it is final, and None as a sign of life.

        Ends early when the process is told to stop: the browser comes back, to another replica.
        """
        yield page
        while not page.is_final and not self._stopping.is_set():
            if not await self._rung(heartbeat):
                yield None
                continue
            news = self._take()
            if news is not None and (news.text, news.is_final) != (page.text, page.is_final):
                page = news
                yield page
                await self._pause()

    async def _rung(self, timeout: float) -> bool:
        """Wait for the bell, or for the end of the process; False when `timeout` came first."""
        waits = [asyncio.create_task(event.wait()) for event in (self._bell, self._stopping)]
        try:
            done, _ = await asyncio.wait(
                waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            return bool(done)
        finally:
            for wait in waits:
                wait.cancel()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(PAUSE):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _take(self) -> Page | None:
        self._bell.clear()
        news, self._news = self._news, None
        return news


class Readers:
    """The open streams of this replica; at most `limit` of them."""

    def __init__(self, *, limit: int, stopping: asyncio.Event) -> None:
        self._limit = limit
        self._stopping = stopping
        self._open: dict[str, set[Reader]] = {}
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Whether one more would be too many."""
        return self._count >= self._limit

    def hear(self, raw: Raw) -> None:
        """Take a write to the bucket."""
        readers = self._open.get(raw.subject.rpartition(".")[2])
        if not readers or not raw.data:
            return
        try:
            page = _decode(raw.data)
        except msgspec.MsgspecError:
            return  # a newer release's: its next reader asks a replica that can read it
        for reader in readers:
            reader.tell(page)

    @contextmanager
    def opened(self, page_id: str) -> Iterator[Reader]:
        """Keep a stream open for the length of the context."""
        reader = Reader(self._stopping)
        self._open.setdefault(page_id, set()).add(reader)
        self._count += 1
        READING.inc()
        try:
            yield reader
        finally:
            READING.dec()
            self._count -= 1
            self._open[page_id].discard(reader)
            if not self._open[page_id]:
                del self._open[page_id]
