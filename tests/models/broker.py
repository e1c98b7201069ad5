"""JetStream as far as the services speak to it: streams, buckets, timers, at least once."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from queqiao_common.answers import Problem, PubAck, Refused, WrongRevision
from queqiao_common.errors import BrokerUnavailable, TransientError
from queqiao_common.events import Event, TurnTimeout
from queqiao_common.kv import NOT_FOUND
from queqiao_common.worker import Outgoing, Received

from tests.models.turnstile import Process, Turnstile

BASE_MS = 1_767_225_600_000

Handler = Callable[[Received[Any]], AsyncIterator[Event | Outgoing]]


@dataclass
class Raw:
    """A message as the client library hands it over."""

    subject: str
    data: bytes
    reply: str = ""
    headers: dict[str, str] | None = None


@dataclass
class Stored:
    """An event in its stream."""

    event: Event
    sequence: int
    at: float
    deliveries: int = 0


@dataclass(frozen=True)
class Record:
    """A write to a bucket."""

    subject: str
    data: bytes
    revision: int
    at: float


@dataclass
class Broker:
    """What outlives every process. `consumers` name who handles an event, and `heard` who hears
    of every write to a subject's family."""

    turnstile: Turnstile
    service_of: Callable[[Event], str | None]
    choose: Callable[[str, int], Process]
    handler_of: Callable[[Process, Event], Handler]
    listeners: Callable[[], list[tuple[Process, str, Callable[[Raw], None]]]]
    outside: Process
    stored: list[Stored] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    history: list[Raw] = field(default_factory=list)
    history_at: list[float] = field(default_factory=list)
    timers: dict[str, tuple[int, TurnTimeout]] = field(default_factory=dict)
    under_way: int = 0
    accidents: list[BaseException | None] = field(default_factory=list)
    _ids: dict[str, int] = field(default_factory=dict)
    _revision: int = 0

    # -- events -----------------------------------------------------------------------------

    def store(self, event: Event) -> PubAck:
        """Store an event once for each id, and have it delivered."""
        if event.id in self._ids:
            return PubAck(seq=self._ids[event.id], duplicate=True)
        stored = Stored(event, len(self.stored) + 1, _now())
        self._ids[event.id] = stored.sequence
        self.stored.append(stored)
        self.deliver(stored)
        self._broadcast(f"event.{type(event).__name__}", msgspec.json.encode(event))
        return PubAck(seq=stored.sequence)

    def deliver(self, stored: Stored, *, after: float = 0.0) -> None:
        """Have an event handled by some replica, at some time: at once, or much later."""
        if self.service_of(stored.event) is not None:
            self.outside.spawn(self._deliver(stored, after))

    async def _deliver(self, stored: Stored, after: float) -> None:
        service = self.service_of(stored.event)
        assert service is not None
        self.under_way += 1
        try:
            await asyncio.sleep(after)
            _, pick = await self.turnstile.passing(self.outside, f"deliver {stored.event.id}")
            process = self.choose(service, pick)
            stored.deliveries += 1
            task = process.started(self._handle(process, stored, stored.deliveries))
            await asyncio.wait([task])
        finally:
            self.under_way -= 1
        if task.cancelled():
            self.deliver(stored)
        elif task.exception() is not None:
            self.deliver(stored)
            if not process.is_dead:
                self.accidents.append(task.exception())
        elif (delay := task.result()) is not None:
            self.deliver(stored, after=delay)

    async def _handle(self, process: Process, stored: Stored, attempt: int) -> float | None:
        """Run a handler as the worker does; returns the pause before the event comes again."""
        subject = f"test.{stored.event.account}"
        published_ms = BASE_MS + int(stored.at * 1000)
        received = Received(stored.event, subject, attempt, stored.sequence, published_ms)
        try:
            async for item in self.handler_of(process, stored.event)(received):
                await self._publish(process, item)
        except TransientError as error:
            return error.after if error.after is not None else 0.5
        await self.turnstile.passing(process, f"ack {stored.event.id}")
        return None

    async def _publish(self, process: Process, item: Event | Outgoing) -> None:
        item = item if isinstance(item, Outgoing) else Outgoing(item)
        await self.turnstile.passing(process, f"publish {item.event.id}")
        if item.due_ms is None:
            self.store(item.event)
        else:
            assert isinstance(item.event, TurnTimeout)
            self.timers[item.event.conv] = (item.due_ms, item.event)

    def fire_timers(self, now_ms: int) -> None:
        """Publish the timers that are due."""
        for conv, (due_ms, event) in tuple(self.timers.items()):
            if due_ms <= now_ms:
                del self.timers[conv]
                self.store(event)

    # -- buckets ----------------------------------------------------------------------------

    def read(self, subject: str) -> bytes:
        """Answer a request for the last record of a key."""
        record = self.records.get(subject)
        if record is None:
            raise Refused("MSG.GET", Problem(404, NOT_FOUND, "no message found"))
        data = base64.b64encode(record.data).decode()
        return json.dumps({"message": {"seq": record.revision, "data": data}}).encode()

    def write(self, subject: str, data: bytes, expected: str | None) -> PubAck:
        """Write a record by compare-and-swap."""
        record = self.records.get(subject)
        if expected is not None and int(expected) != (record.revision if record else 0):
            raise WrongRevision(subject)
        self._revision += 1
        self.records[subject] = Record(subject, data, self._revision, _now())
        self._broadcast(subject, data)
        return PubAck(seq=self._revision)

    # -- those who hear everything ----------------------------------------------------------

    def _broadcast(self, subject: str, data: bytes) -> None:
        self.history.append(Raw(subject, data))
        self.history_at.append(_now())
        for process, family, hear in self.listeners():
            if subject.startswith(family):
                process.spawn(self._tell(process, hear, Raw(subject, data)))

    def catch_up(self, process: Process, family: str, hear: Callable[[Raw], None]) -> None:
        """Tell a new process what was said in the last 20 s."""
        for raw, at in zip(self.history, self.history_at, strict=True):
            if raw.subject.startswith(family) and at > _now() - 20:
                process.spawn(self._tell(process, hear, raw))

    async def _tell(self, process: Process, hear: Callable[[Raw], None], raw: Raw) -> None:
        step = f"hear {raw.subject} {raw.data[:60].decode(errors='replace')}"
        fate, _ = await self.turnstile.passing(process, step, "lost")
        if fate == "on":
            hear(raw)


class ProcessBus:
    """The bus of one process."""

    connected = True

    def __init__(self, broker: Broker, process: Process) -> None:
        self._broker = broker
        self._process = process

    def when_reconnected(self, call: Callable[[], None]) -> None:
        """The model's connections hold."""

    def when_missing(self, call: Callable[[], None]) -> None:
        """The model's streams are never lost."""

    def missing(self) -> None:
        raise AssertionError("nothing is ever missing here")

    async def api(self, verb: str, body: Any = None, *, timeout: float = 5.0) -> bytes:
        subject = body["last_by_subj"]
        fate, _ = await self._broker.turnstile.passing(self._process, f"read {subject}", "down")
        if fate == "down":
            raise BrokerUnavailable(subject)
        return self._broker.read(subject)

    async def publish(
        self,
        subject: str,
        body: bytes,
        *,
        event_id: str = "",
        headers: dict[str, str] | None = None,
        deadline: float = 30.0,
    ) -> PubAck:
        fate, _ = await self._broker.turnstile.passing(self._process, f"write {subject}", "lost")
        ack = self._broker.write(
            subject, body, (headers or {}).get("Nats-Expected-Last-Subject-Sequence")
        )
        if fate == "lost":  # the bus repeats it, and finds its own write in the way
            raise WrongRevision(subject)
        return ack

    async def publish_event(
        self, event: Event, *, parent: Any = None, deadline: float = 30.0
    ) -> PubAck:
        fate, _ = await self._broker.turnstile.passing(
            self._process, f"publish {event.id}", "lost", "unknown", "down"
        )
        if fate == "down":
            raise BrokerUnavailable(event.id)
        ack = self._broker.store(event)
        if fate == "unknown":
            raise BrokerUnavailable(event.id)
        return PubAck(seq=ack.seq, duplicate=True) if fate == "lost" else ack


def _now() -> float:
    return asyncio.get_running_loop().time()
