"""Reads back, after a run, what the streams and the logs say of it."""

import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from queqiao_common.answers import Stored
from queqiao_common.bus import Bus
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.events import UNREADABLE, Delivery, InboundMessage
from queqiao_common.ids import conversation_id
from queqiao_common.topology import CHAT, CONSUMERS, DEAD, INBOUND, READY, REPLY, Stream

from queqiao_testbed.audit import Journal, User
from queqiao_testbed.configuration import TOKEN
from queqiao_testbed.system import System

PATIENCE = 20
"""Unanswered requests (1.5 s each) after which the journal cannot be read."""
MARK_TEXT = re.compile(r"#\w+-\d+#")


class _Info(Struct):
    num_pending: int = 0
    num_ack_pending: int = 0


class _Letter(Struct):
    subject: str = ""
    consumer: str = ""
    reason: str = ""


class Recorder:
    """Reads what the oracle cannot see in the transcript; each time only what is new."""

    def __init__(self, system: System, bus: Bus, *, sorry: Sequence[str]) -> None:
        self._system = system
        self._bus = bus
        self._sorry = sorry
        self._marks: dict[str, list[str]] = {}
        self._accepted: dict[str, int] = {}
        self._excused: set[str] = set()
        self._messages_read = self._deliveries_read = 0

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
                self._excused.update(*(self._marks.get(w.msgid, ()) for w in delivery.waiting))
        return Journal(
            accepted=dict(self._accepted),
            excused=frozenset(self._excused),
            doubts=await doubts(self._system),
            redelivered=await self._redelivered(),
        )

    async def _redelivered(self) -> frozenset[str]:
        pushes = [
            push
            for account in ("auto", "active", "sub")
            for push in await self._system.control("GET", "/pushes", params={"account": account})
        ]
        return frozenset(push["msgid"] for push in pushes if len(push["deliveries"]) > 1)


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


async def doubts(system: System) -> Mapping[User, int]:
    """Count, by user, the parts that egress repeated without knowing whether they were shown."""
    names = await conversations(system, ("auto", "active", "plain"))
    found: Counter[User] = Counter()
    for line in lines(system, ("delivery.ambiguous",)):
        conv = line["delivery_id"].split(".")[1]
        if conv in names:
            found[names[conv]] += 1
    return found


async def conversations(system: System, accounts: Iterable[str]) -> dict[str, User]:
    """Return whose conversation each conversation id is."""
    return {
        conversation_id(pepper=TOKEN, account=account, openid=user["openid"]): (
            account,
            str(user["name"]),
        )
        for account in accounts
        for user in await system.control("GET", "/users", params={"account": account})
    }


def lines(system: System, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the log lines of the services with one of these event names."""
    found = []
    for line in system.logs().splitlines():
        if any(f'"{name}"' in line for name in names):
            try:
                record = msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.MsgspecError:
                continue  # a line that a kill cut short
            if record.get("event") in names:
                found.append(record)
    return found


def accidents(system: System) -> list[str]:
    """Return the log lines that tell of an error nobody foresaw."""
    lines = system.logs().splitlines()
    return [line for line in lines if "Traceback" in line or "worker.broken" in line]


async def backlog(bus: Bus) -> dict[str, tuple[int, int]]:
    """Return the consumers that have work left: events not delivered, and not acknowledged."""
    found = {}
    for consumer in CONSUMERS:
        name = f"CONSUMER.INFO.{consumer.reads.stream.name}.{consumer.name}"
        info = msgspec.json.decode(await bus.api(name), type=_Info)
        if info.num_pending or info.num_ack_pending:
            found[consumer.name] = (info.num_pending, info.num_ack_pending)
    return found


async def dead_letters(bus: Bus) -> list[_Letter]:
    """Return what was buried."""
    return [letter async for _, letter in events(bus, DEAD, "dead.>", _Letter)]
