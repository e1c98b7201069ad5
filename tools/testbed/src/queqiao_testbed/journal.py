"""Reads back, after a run, what the streams and the logs say of it."""

import contextlib
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from queqiao_common.answers import Refused, Stored
from queqiao_common.bus import Bus
from queqiao_common.errors import BrokerUnavailable, QueqiaoError
from queqiao_common.events import UNREADABLE, Delivery, InboundMessage
from queqiao_common.ids import conversation_id
from queqiao_common.topology import CHAT, CONSUMERS, DEAD, INBOUND, READY, REPLY, SENT, Stream

from queqiao_testbed.audit import Journal, User
from queqiao_testbed.configuration import ACCOUNTS, TOKEN
from queqiao_testbed.system import System
from queqiao_testbed.verdict import SENDER_GONE, Seen

PATIENCE = 20
"""Unanswered requests (1.5 s each) after which the journal cannot be read."""
MARK_TEXT = re.compile(r"#\w+-\d+#")
AMBIGUOUS = "delivery.ambiguous"
LISTENING = "replica.listening"
BROKEN = "worker.broken"
TRACEBACK = "Traceback (most recent call last)"
UNKNOWN = (-1, -1)
"""What is said of a consumer of which the broker says nothing right now."""


class _Info(Struct):
    num_pending: int = 0
    num_ack_pending: int = 0


class _Letter(Struct):
    subject: str = ""
    stream: str = ""
    sequence: int = 0
    consumer: str = ""
    reason: str = ""
    headers: dict[str, str] = {}

    @property
    def event_id(self) -> str:
        """The id under which the event was published."""
        return self.headers.get("Nats-Msg-Id", "")


class _Marker(Struct):
    doubts: int = 0


class _Message(Struct):
    subject: str
    seq: int
    data: bytes = b""


class _Found(Struct):
    message: _Message


class Logs:
    """What the services have logged, read as it is written: each line once.

    `replicas` are the names by which the processes of egress know each other, by the name of the
    test bed's child; a child that was started again has another one.
    """

    def __init__(self, system: System) -> None:
        self.doubts: list[Seen] = []
        self.repeats: list[tuple[str, str]] = []
        self.accidents: list[str] = []
        self.replicas: dict[str, str] = {}
        self._system = system
        self._read: Counter[Path] = Counter()

    def read(self) -> None:
        """Read what is new."""
        for path in self._system.log_files():
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                file.seek(self._read[path])
                lines = file.read().splitlines(keepends=True)
                if lines and not lines[-1].endswith(b"\n"):
                    lines.pop()  # its end is still to come
                self._read[path] += sum(map(len, lines))
                for line in lines:
                    self._note(path.stem, line.decode(errors="replace").strip())

    def _note(self, child: str, line: str) -> None:
        if line.startswith(TRACEBACK):
            self.accidents.append(line)
            return
        if not any(f'"{word}"' in line for word in (AMBIGUOUS, LISTENING, BROKEN, "exception")):
            return
        # A kill may have cut a line short, and the next process has gone on behind it.
        with contextlib.suppress(msgspec.MsgspecError, ValueError):
            record = msgspec.json.decode(line[line.rindex('{"time"') :], type=dict[str, Any])
            if record.get("event") == AMBIGUOUS:
                delivery, cause = str(record["delivery_id"]), str(record["cause"])
                doubt = Seen(
                    what=delivery, at=time.time(), cause=cause, replica=str(record["replica"])
                )
                self.doubts.append(doubt)
                if record["policy"] == "resend":
                    self.repeats.append((delivery, cause))
            if record.get("event") == LISTENING:
                self.replicas[child] = str(record["replica"])
            if record.get("event") == BROKEN or "exception" in record:
                self.accidents.append(line)


class Recorder:
    """Reads what the oracle cannot see in the transcript; each time only what is new."""

    def __init__(self, system: System, bus: Bus, logs: Logs, *, sorry: Sequence[str]) -> None:
        self._system = system
        self._bus = bus
        self._logs = logs
        self._sorry = sorry
        self._marks: dict[str, list[str]] = {}
        self._accepted: dict[str, int] = {}
        self._apologies: dict[str, frozenset[str]] = {}
        self._sent: Counter[str] = Counter()
        self._messages_read = self._deliveries_read = self._markers_read = 0

    async def read(self) -> Journal:
        """Return what is known now."""
        inbound = events(self._bus, CHAT, INBOUND.filter, InboundMessage, self._messages_read)
        async for sequence, message in inbound:
            self._messages_read = sequence
            marks = MARK_TEXT.findall(message.text)
            self._marks[message.msgid] = marks
            self._accepted |= dict.fromkeys(marks, sequence)
        ready = events(self._bus, REPLY, READY.filter, Delivery, self._deliveries_read)
        async for sequence, delivery in ready:
            self._deliveries_read = sequence
            if any(text in delivery.text for text in self._sorry):
                marks = [mark for w in delivery.waiting for mark in self._marks.get(w.msgid, ())]
                self._apologies[delivery.id] = frozenset(marks)
        await self._read_markers()
        self._logs.read()
        return Journal(
            accepted=dict(self._accepted),
            apologies=tuple(self._apologies.values()),
            doubts=await self._doubts(),
            unanswered=await self._unanswered(),
            redelivered=await self._redelivered(),
        )

    async def _read_markers(self) -> None:
        """Read the doubts that the markers of deliveries tell of.

        Of a replica that is killed just then they say more than its log.
        """
        while (found := await next_marker(self._bus, self._markers_read)) is not None:
            self._markers_read = found.seq
            delivery = found.subject.removeprefix(f"$KV.{SENT.name}.")
            with contextlib.suppress(msgspec.MsgspecError):  # one that was deleted
                marker = msgspec.json.decode(found.data, type=_Marker)
                self._sent[delivery] = max(self._sent[delivery], marker.doubts)

    async def _doubts(self) -> Mapping[User, int]:
        """Count, by user, the parts that egress repeated without knowing whether they were seen."""
        logged = Counter(delivery for delivery, _ in self._logs.repeats)
        return await self._by_user(logged | self._sent)

    async def _unanswered(self) -> Mapping[User, int]:
        """Count those whose sender lives: WeChat's answer was lost."""
        return await self._by_user(
            Counter(delivery for delivery, cause in self._logs.repeats if cause != SENDER_GONE)
        )

    async def _by_user(self, deliveries: Mapping[str, int]) -> Mapping[User, int]:
        names = await conversations(self._system)
        found: Counter[User] = Counter()
        for delivery, count in deliveries.items():
            conv = delivery.split(".")[1]
            if count and conv in names:
                found[names[conv]] += count
        return found

    async def _redelivered(self) -> frozenset[str]:
        pushes = [
            push
            for account in _accounts()
            for push in await self._system.control("GET", "/pushes", params={"account": account})
        ]
        return frozenset(push["msgid"] for push in pushes if len(push["deliveries"]) > 1)


async def next_marker(bus: Bus, after: int) -> _Message | None:
    """Return the first marker of a delivery that was written after a sequence."""
    query = {"seq": after + 1, "next_by_subj": f"$KV.{SENT.name}.>"}
    for _ in range(PATIENCE):
        try:
            answer = await bus.api(f"STREAM.MSG.GET.{SENT.stream}", query, timeout=1.5)
        except BrokerUnavailable:
            continue
        except Refused:
            return None  # no further one
        return msgspec.json.decode(answer, type=_Found).message
    raise BrokerUnavailable("the markers of deliveries cannot be read")


async def events(
    bus: Bus, stream: Stream, subject: str, kind: type[Any], after: int = 0
) -> AsyncIterator[tuple[int, Any]]:
    """Yield every readable event of a subject after a sequence, with its own."""
    decode, last = msgspec.json.Decoder(kind).decode, after
    while (stored := await _next(bus, stream, subject, last)) is not None:
        last = stored.sequence
        try:
            yield last, decode(stored.data)
        except UNREADABLE:
            continue  # poison, which is the chaos suite's own


async def _next(bus: Bus, stream: Stream, subject: str, after: int) -> Stored | None:
    """Read on, though the broker may be busy just after what was done to it."""
    for _ in range(PATIENCE):
        with contextlib.suppress(BrokerUnavailable):
            return await bus.read_next(stream, subject, after)
    return await bus.read_next(stream, subject, after)


async def conversations(system: System) -> dict[str, User]:
    """Return whose conversation each conversation id is."""
    return {
        conversation_id(pepper=TOKEN, account=account, openid=user["openid"]): (
            account,
            str(user["name"]),
        )
        for account in _accounts()
        for user in await system.control("GET", "/users", params={"account": account})
    }


def _accounts() -> Iterable[str]:
    return (str(account["id"]) for account in ACCOUNTS)


async def backlog(bus: Bus) -> dict[str, tuple[int, int]]:
    """Return the consumers that have work left: events not delivered, and not acknowledged.

    Where the broker says nothing right now, there may be any amount of it.
    """
    found: dict[str, tuple[int, int]] = {}
    for consumer in CONSUMERS:
        name = f"CONSUMER.INFO.{consumer.reads.stream.name}.{consumer.name}"
        try:
            info = msgspec.json.decode(await bus.api(name), type=_Info)
        except QueqiaoError:
            return found | {consumer.name: UNKNOWN}
        if info.num_pending or info.num_ack_pending:
            found[consumer.name] = (info.num_pending, info.num_ack_pending)
    return found


async def dead_letters(bus: Bus) -> list[_Letter]:
    """Return what was buried."""
    return [letter async for _, letter in events(bus, DEAD, "dead.>", _Letter)]
