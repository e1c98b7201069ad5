"""One event on its way to the broker: sent, and repeated until it is stored."""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

from queqiao_common.answers import PubAck, Raw, acknowledged
from queqiao_common.errors import BrokerUnavailable, QueqiaoError

log = logging.getLogger(__name__)

TRY_TIMEOUT = 1.5
WAITING = 5.0
"""Seconds of one publish after which the log says that it waits, and for what."""


class Requests(Protocol):
    """What a publication needs of the bus; `stalled` counts those that have waited for long."""

    loop: asyncio.AbstractEventLoop
    stalled: int

    async def request(
        self, subject: str, body: bytes, *, headers: dict[str, str] | None, timeout: float
    ) -> Raw:
        """Send one request and return its answer."""

    def busy_with(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Keep a task until it is done."""


class Publication:
    """One event on its way: sent once, and then repeated by itself until the broker has it.

    The first try costs neither a task nor a future of its own, as it almost always succeeds.
    """

    __slots__ = (
        "_began", "_bus", "_repeating", "_result", "_stop", "_told", "_trouble", "_waiter",
        "body", "headers", "subject",
    )  # fmt: skip

    def __init__(
        self,
        bus: Requests,
        subject: str,
        body: bytes,
        headers: dict[str, str] | None,
        deadline: float,
        told: Callable[[QueqiaoError | None], None] | None,
    ) -> None:
        self.subject, self.body, self.headers = subject, body, headers
        self._began = time.monotonic()
        self._stop = self._began + deadline
        self._trouble = BrokerUnavailable(subject)
        self._bus, self._told = bus, told
        self._result: PubAck | QueqiaoError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._repeating: asyncio.Task[None] | None = None

    def hear(self, answer: Raw | BrokerUnavailable) -> None:
        """Take the broker's answer to the first try."""
        try:
            if isinstance(answer, BrokerUnavailable):
                raise answer
            self._conclude(acknowledged(self.subject, answer.data))
        except BrokerUnavailable as error:
            self._trouble = error
            self._repeating = self._bus.busy_with(self._repeat())
        except QueqiaoError as error:
            self._conclude(error)

    async def _repeat(self) -> None:
        try:
            self._conclude(await self._repeated())
        except QueqiaoError as error:
            self._conclude(error)
        except asyncio.CancelledError:  # the connection is being closed
            self._conclude(self._trouble)
            raise

    async def _repeated(self) -> PubAck:
        """Publish what the first try did not store, until the deadline."""
        noted = False
        try:
            for wait in _backoff():
                if time.monotonic() + wait >= self._stop:
                    raise self._trouble
                await asyncio.sleep(wait)
                timeout = max(0.05, min(TRY_TIMEOUT, self._stop - time.monotonic()))
                try:
                    answer = await self._bus.request(
                        self.subject, self.body, headers=self.headers, timeout=timeout
                    )
                    return acknowledged(self.subject, answer.data)
                except BrokerUnavailable as error:
                    self._trouble = error
                    if not noted and (noted := time.monotonic() - self._began >= WAITING):
                        self._bus.stalled += 1
                        log.warning("publish.waiting", extra={"error": str(error)})
        finally:
            self._bus.stalled -= noted
        raise AssertionError("the backoff never ends")

    def _conclude(self, result: PubAck | QueqiaoError) -> None:
        self._result = result
        if self._told is not None:
            self._told(result if isinstance(result, QueqiaoError) else None)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def stored(self) -> PubAck:
        """Wait until it is stored.

        Raises:
            StreamFull, WrongRevision, BrokerUnavailable, Refused: see `Bus.publish`.
        """
        if self._result is None:
            self._waiter = self._bus.loop.create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:
                if self._repeating is not None:
                    self._repeating.cancel()
                raise
        if isinstance(self._result, PubAck):
            return self._result
        raise self._result or AssertionError("woken before its end")


def _backoff() -> Iterator[float]:
    return itertools.chain((0.05, 0.1, 0.2, 0.4, 0.8), itertools.repeat(1.0))
