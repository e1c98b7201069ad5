"""The consumer loop, written once.

A handler is an async generator over one received event: it yields the events it wants published.
The loop publishes each at once, waits for the broker's acknowledgements, and only then acks. After
a failure the handler runs again from the start, so whatever it yields, keeps or calls must be safe
to repeat.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from opentelemetry.trace import Span, Status, StatusCode

from queqiao_common import telemetry
from queqiao_common.answers import Raw
from queqiao_common.bus import Bus
from queqiao_common.errors import PermanentError, QueqiaoError, TransientError
from queqiao_common.events import UNREADABLE, DeadLetter, Event
from queqiao_common.failpoints import failpoint
from queqiao_common.publication import Publication
from queqiao_common.pull import Metadata, Puller, parse_metadata
from queqiao_common.topology import Consumer

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Received(Generic[E]):
    """One delivery of an event: `attempt` counts from 1, `sequence` is its place in the stream."""

    event: E
    subject: str
    attempt: int
    sequence: int
    published_ms: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event to publish in another trace than the one at hand, or at a later time.

    With `due_ms` the broker itself publishes it then (a timer; see `Timers` in docs/events.md).
    """

    event: Event
    parent: Mapping[str, str] | None = None
    due_ms: int | None = None


Yields = AsyncIterator[Event | Outgoing]
Handler = Callable[[Received[E]], Yields]


@dataclass(frozen=True, slots=True)
class Buried:
    """What is known of an event that is given up: for telling the turn about it."""

    subject: str
    body: bytes
    sequence: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Done."""


@dataclass(frozen=True, slots=True)
class Nak:
    """Deliver again after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Bury:
    """Give up, for `reason`."""

    reason: str


Settlement = Ack | Nak | Bury


def backoff(attempt: int) -> float:
    """Return the seconds before the next attempt: 0.5, 1, 2, 4, ... 30."""
    return float(min(30.0, 0.25 * 2.0**attempt))


def settle(error: BaseException | None, attempt: int, attempts: int) -> Settlement:
    """Decide what the broker is told about one delivery (`attempt` counts from 1)."""
    match error:
        case None:
            return Ack()
        case PermanentError():
            return Bury(str(error))
        case _ if attempt >= attempts:
            return Bury(f"{type(error).__name__} on the last of {attempts} attempts: {error}")
        case TransientError(after=float(delay)):
            return Nak(delay)
        case _:
            return Nak(backoff(attempt))


class Worker(Generic[E]):
    """Runs one handler for one consumer until it is stopped."""

    def __init__(
        self,
        bus: Bus,
        consumer: Consumer[E],
        handler: Handler[E],
        *,
        on_buried: Callable[[Buried], Yields] | None = None,
        slots: int | None = None,
    ) -> None:
        self._bus = bus
        self._consumer = consumer
        self._handler = handler
        self._on_buried = on_buried
        self._decode = msgspec.json.Decoder(consumer.reads.event).decode
        self._active: dict[asyncio.Task[None], tuple[Raw, float]] = {}
        self._before_publish = f"{consumer.name}.before_publish"
        self._before_ack = f"{consumer.name}.before_ack"
        self._busy = telemetry.BUSY.labels(consumer.name)
        self.puller = Puller(
            bus,
            stream=consumer.reads.stream.name,
            consumer=consumer.name,
            slots=slots or consumer.slots,
            handle=self._start,
        )

    async def run(self) -> None:
        """Handle events until `stop()`; returns when the pulling has ended."""
        beat = asyncio.create_task(self._beat(), name=f"beat {self._consumer.name}")
        try:
            await self.puller.run()
        finally:
            beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beat

    def stop(self) -> None:
        """Take nothing more."""
        self.puller.stop()

    async def drain(self, bound: float) -> bool:
        """Wait for what is in hand, for at most `bound` seconds; others get the rest at once."""
        if not self._active:
            return True
        in_hand = dict(self._active)
        beat = asyncio.create_task(self._beat())
        _, late = await asyncio.wait(in_hand, timeout=bound)
        beat.cancel()
        for task in late:
            task.cancel()
            await self._bus.tell(in_hand[task][0].reply, b"-NAK")
        return not late

    async def _beat(self) -> None:
        """Tell the broker, every third of `ack_wait`, which events are still being handled."""
        every = self._consumer.ack_wait / 3
        while True:
            await asyncio.sleep(every)
            now = time.monotonic()
            for raw, since in list(self._active.values()):
                if now - since >= every:
                    await self._bus.tell(raw.reply, b"+WPI")

    def _start(self, raw: Raw) -> None:
        if self.puller.closing:
            self._bus.tell_soon(raw.reply, b"-NAK")
            self.puller.done()
            return
        task = self._bus.loop.create_task(self._handle(raw))
        self._active[task] = (raw, time.monotonic())
        self._busy.inc()
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._active[task]
        self._busy.dec()
        self.puller.done()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("worker.broken", extra={"consumer": self._consumer.name}, exc_info=error)

    async def _handle(self, raw: Raw) -> None:
        meta = parse_metadata(raw.reply)
        headers = raw.headers or {}
        began = time.monotonic()
        queue_ms = max(0, int(time.time() * 1000) - meta.published_ms)
        hop = self._consumer.reads.template
        with telemetry.process_span(
            hop,
            consumer=self._consumer.name,
            headers=headers,
            attempt=meta.attempt,
            queue_ms=queue_ms,
        ) as span:
            error = await self._attempt(raw, meta)
            settlement = settle(error, meta.attempt, self._consumer.attempts)
            await self._conclude(raw, meta, settlement)
            self._report(span, meta, settlement, error, time.monotonic() - began)

    async def _attempt(self, raw: Raw, meta: Metadata) -> Exception | None:
        """Run the handler once; its error is a value for `settle`."""
        if meta.attempt > self._consumer.attempts:
            return PermanentError("its handling ended the process, again and again")
        try:
            event = self._decode(raw.data)
        except UNREADABLE as error:
            return PermanentError(f"cannot be decoded: {error}")
        received = Received(event, raw.subject, meta.attempt, meta.sequence, meta.published_ms)
        try:
            await self._publish_all(self._handler(received))
        except Exception as error:
            return error
        return None

    async def _publish_all(self, outgoing: Yields) -> None:
        """Publish what a handler yields as it comes, and wait until all of it is stored."""
        sent: list[Publication] = []
        try:
            async for item in outgoing:
                sent.append(await self._send(item))  # noqa: PERF401 - kept when it fails midway
        finally:
            failure = await _failure(sent)
        if failure is not None:
            raise failure

    async def _send(self, item: Event | Outgoing) -> Publication:
        """Send one event, to be repeated for as long as a full stream or an absent broker needs.

        The event in hand stays ours meanwhile (it is beaten for), its slot stays taken, and so less
        is pulled: that is the back-pressure. Giving it back would spend its attempts on waiting.
        """
        failpoint(self._before_publish)
        if not isinstance(item, Outgoing):
            return await self._bus.send_event(item, deadline=math.inf)
        if item.due_ms is None:
            return await self._bus.send_event(item.event, parent=item.parent, deadline=math.inf)
        return await self._bus.schedule(
            item.event, due_ms=item.due_ms, parent=item.parent, deadline=math.inf
        )

    async def _conclude(self, raw: Raw, meta: Metadata, settlement: Settlement) -> None:
        match settlement:
            case Ack():
                failpoint(self._before_ack)
                # Without waiting: an acknowledgement that is lost costs a repeat, which is harmless
                # by design, and waiting for it costs a round trip on every hop (ADR 0002).
                self._bus.tell_soon(raw.reply, b"+ACK")
            case Nak(delay):
                await self._bus.tell(raw.reply, f'-NAK {{"delay": {int(delay * 1e9)}}}'.encode())
            case Bury(reason):
                await self._bury(raw, meta, reason)

    async def _bury(self, raw: Raw, meta: Metadata, reason: str) -> None:
        buried = Buried(raw.subject, raw.data, meta.sequence, reason)
        try:
            await self._publish_all(self.last_words(buried))
        except Exception as error:
            # Whoever waits for it may wait in vain, but the letter must not be lost as well.
            fields = {"consumer": self._consumer.name, "sequence": meta.sequence}
            log.error("burial.untold", extra=fields, exc_info=error)
        letter = self.letter(buried, headers=raw.headers or {}, attempts=meta.attempt)
        await (await self._send(letter)).stored()
        await self._bus.tell(raw.reply, b"+TERM")

    async def last_words(self, buried: Buried) -> Yields:
        """Yield what tells whoever waits for an event that it is given up."""
        telemetry.BURIED.labels(self._consumer.name).inc()
        if self._on_buried is not None:
            async for item in self._on_buried(buried):
                yield item

    def letter(self, buried: Buried, *, headers: Mapping[str, str], attempts: int) -> DeadLetter:
        """Return the dead letter of an event of this consumer."""
        return DeadLetter(
            id=f"dead:{self._consumer.name}:{buried.sequence}",
            account=_account_of(buried.body),
            subject=buried.subject,
            stream=self._consumer.reads.stream.name,
            sequence=buried.sequence,
            consumer=self._consumer.name,
            reason=buried.reason,
            attempts=attempts,
            body=buried.body,
            headers=dict(headers),
        )

    def _report(
        self,
        span: Span,
        meta: Metadata,
        settlement: Settlement,
        error: BaseException | None,
        seconds: float,
    ) -> None:
        """Note what became of an event: a metric, and a line where anybody should know of it.

        Without trouble the line is for debugging: the two ends of a message (`callback.answered`,
        `delivery.done`) are logged by those who know more of them.
        """
        outcome = type(settlement).__name__.lower()
        telemetry.PROCESSED.labels(self._consumer.name, outcome).observe(seconds)
        level = logging.DEBUG if error is None and meta.attempt == 1 else logging.INFO
        if error is None and not log.isEnabledFor(level):
            return
        fields: dict[str, Any] = {
            "consumer": self._consumer.name,
            "outcome": outcome,
            "sequence": meta.sequence,
            "attempt": meta.attempt,
            "ms": round(seconds * 1000, 1),
        }
        if error is None:
            log.log(level, "event.handled", extra=fields)
            return
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        fields |= {"error": type(error).__name__, "detail": str(error)[:300]}
        expected = isinstance(error, TransientError | PermanentError)
        level = logging.ERROR if isinstance(settlement, Bury) or not expected else logging.WARNING
        log.log(level, "event.failed", extra=fields, exc_info=None if expected else error)


async def _failure(sent: Iterable[Publication]) -> QueqiaoError | None:
    """Wait until everything is stored, and return the first reason why something is not."""
    first: QueqiaoError | None = None
    for one in sent:
        try:
            await one.stored()
        except QueqiaoError as error:
            first = first or error
    return first


class _Owner(msgspec.Struct):
    account: str = "unknown"


def _account_of(body: bytes) -> str:
    """Read the account of an event that could not be decoded as what it should be."""
    try:
        return msgspec.json.decode(body, type=_Owner).account
    except UNREADABLE:
        return "unknown"
