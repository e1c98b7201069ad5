"""Racing two models: the second starts when the first is late, and whoever speaks first answers."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from queqiao_llm.completion import ModelFailed
from queqiao_llm.runs import Said

Start = Callable[[Callable[[], None]], AsyncGenerator[Said, None]]
"""Begins a run, which calls what it is given at its first text."""


class Lane:
    """A run in a task of its own, from its beginning to its end: its span is that task's.

    Its pieces wait here; an answer's size is their bound. `news` is set when it speaks, or ends.
    """

    def __init__(self, start: Start, news: asyncio.Event) -> None:
        self._news = news
        self._pieces: asyncio.Queue[Said | None] = asyncio.Queue()
        self.has_spoken = False
        self.is_over = False
        self.failure: ModelFailed | None = None
        self._task = asyncio.create_task(self._pump(start(self._speak)))

    async def pieces(self) -> AsyncGenerator[Said, None]:
        """Yield its pieces.

        Raises:
            ModelFailed: as the run did.
        """
        while (piece := await self._pieces.get()) is not None:
            yield piece
        await self._task
        if self.failure is not None:
            raise self.failure

    async def stop(self) -> None:
        """End it, if it has not ended."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _pump(self, run: AsyncGenerator[Said, None]) -> None:
        try:
            async with aclosing(run):
                async for piece in run:
                    self._pieces.put_nowait(piece)
        except ModelFailed as failure:
            self.failure = failure
        finally:
            self.is_over = True
            self._pieces.put_nowait(None)
            self._news.set()

    def _speak(self) -> None:
        self.has_spoken = True
        self._news.set()


class Race:
    """The first of two runs, and the second if the first has not spoken `after` so many seconds."""

    def __init__(self, first: Start, second: Start, *, after: float) -> None:
        self._first = first
        self._second = second
        self._after = after
        self._news = asyncio.Event()
        self.lanes: list[Lane] = []
        self.winner: Lane | None = None

    @property
    def outcome(self) -> str:
        """Who spoke first, where there was a race at all."""
        if len(self.lanes) < 2:
            return ""
        if self.winner is None:
            return "neither"
        return "first" if self.winner is self.lanes[0] else "second"

    async def pieces(self) -> AsyncGenerator[Said, None]:
        """Yield the pieces of whoever speaks first; the other one is stopped.

        Raises:
            ModelFailed: neither could answer (as the first did), or the winner failed.
        """
        try:
            lane = await self._decide()
            for other in self.lanes:
                if other is not lane:
                    await other.stop()
            async with aclosing(lane.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            for one in self.lanes:
                await one.stop()

    async def _decide(self) -> Lane:
        first = self._enter(self._first)
        try:
            async with asyncio.timeout(self._after):
                await self._news.wait()
        except TimeoutError:
            self._enter(self._second)
        while not any(lane.has_spoken for lane in self.lanes):
            if all(lane.is_over for lane in self.lanes):
                return first
            self._news.clear()
            await self._news.wait()
        self.winner = next(lane for lane in self.lanes if lane.has_spoken)
        return self.winner

    def _enter(self, start: Start) -> Lane:
        lane = Lane(start, self._news)
        self.lanes.append(lane)
        return lane
