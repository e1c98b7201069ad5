"""Builders and fakes, shipped so that all services fake things one way.

Builders fill in what does not matter to a test. `MemoryDocuments` passes the same contract suite
as the JetStream bucket (`libs/common/tests/test_documents.py`).
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct, structs

from queqiao_common.answers import WrongRevision
from queqiao_common.errors import TransientError
from queqiao_common.events import (
    CompletionRequest,
    Delivery,
    DeliveryResult,
    Event,
    InboundMessage,
    Prompt,
    ReplySegment,
    ScreenedMessage,
    ScreenedSegment,
    Verdict,
    Waiting,
)
from queqiao_common.kv import Document
from queqiao_common.worker import Outgoing, Received

T = TypeVar("T", bound=Struct)
R = TypeVar("R")
E = TypeVar("E", bound=Event)

ACCOUNT = "main"
CONV = "c_abcdefghijklmnopqrstuvwxyz"
TURN = f"{ACCOUNT}.{CONV}.1"
NOW_MS = 1_767_225_600_000


def inbound(text: str = "你好", **fields: Any) -> InboundMessage:
    """Build a text message of the usual user."""
    msgid = fields.pop("msgid", "m_1")
    defaults: dict[str, Any] = {
        "id": f"wx:{ACCOUNT}:{msgid}",
        "account": ACCOUNT,
        "conv": CONV,
        "openid": "oUSER",
        "msgid": msgid,
        "received_ms": NOW_MS,
        "text": text,
    }
    return InboundMessage(**(defaults | fields))


def screened(message: InboundMessage | None = None, **fields: Any) -> ScreenedMessage:
    """Build the verdict on a message."""
    message = message or inbound()
    defaults: dict[str, Any] = {
        "id": f"scr:{message.id}:{fields.get('sequence', 1)}",
        "account": message.account,
        "conv": message.conv,
        "sequence": 1,
        "verdict": Verdict.PASS,
        "message": message,
        "text": message.text,
    }
    return ScreenedMessage(**(defaults | fields))


def request(*prompt: str, **fields: Any) -> CompletionRequest:
    """Build a turn for a model; `prompt` are the user's messages."""
    defaults: dict[str, Any] = {
        "id": f"req:{TURN}",
        "account": ACCOUNT,
        "conv": CONV,
        "turn_id": TURN,
        "route": "default",
        "prompt": tuple(Prompt("user", text) for text in prompt or ("你好",)),
        "deadline_ms": NOW_MS + 60_000,
    }
    return CompletionRequest(**(defaults | fields))


def segment(text: str = "你好！", **fields: Any) -> ReplySegment:
    """Build a piece of an answer, as the model wrote it."""
    number, attempt = fields.get("number", 0), fields.get("attempt", 1)
    defaults: dict[str, Any] = {
        "id": f"rep:{TURN}.{attempt}.{number}",
        "account": ACCOUNT,
        "conv": CONV,
        "turn_id": TURN,
        "number": 0,
        "attempt": 1,
        "text": text,
    }
    return ReplySegment(**(defaults | fields))


def screened_segment(text: str = "你好！", **fields: Any) -> ScreenedSegment:
    """Build a screened piece of an answer."""
    fields.setdefault("verdict", Verdict.PASS)
    verdict = fields.pop("verdict")
    piece = segment(text, **fields)
    values = {name: getattr(piece, name) for name in piece.__struct_fields__}
    return ScreenedSegment(**values, verdict=verdict)


def waiting(msgid: str = "m_1", **fields: Any) -> Waiting:
    """Build a message whose request may still be open."""
    defaults: dict[str, Any] = {"msgid": msgid, "received_ms": NOW_MS}
    return Waiting(**(defaults | fields))


def delivery(text: str = "你好！", **fields: Any) -> Delivery:
    """Build what a user shall read next."""
    defaults: dict[str, Any] = {
        "id": f"{TURN}.1",
        "account": ACCOUNT,
        "conv": CONV,
        "openid": "oUSER",
        "turn_id": TURN,
        "text": text,
        "waiting": (waiting(),),
    }
    return Delivery(**(defaults | fields))


def delivered(**fields: Any) -> DeliveryResult:
    """Build the result of a delivery."""
    defaults: dict[str, Any] = {
        "id": f"sent:{TURN}.1",
        "account": ACCOUNT,
        "conv": CONV,
        "turn_id": TURN,
        "delivery_id": f"{TURN}.1",
        "status": "delivered",
        "via": "api",
    }
    return DeliveryResult(**(defaults | fields))


def received(event: E, *, attempt: int = 1, sequence: int = 1) -> Received[E]:
    """Wrap an event as the worker hands it over."""
    return Received(event, f"test.{event.account}", attempt, sequence, NOW_MS)


async def published(outgoing: AsyncIterator[Event | Outgoing]) -> list[Event]:
    """Run a handler and return the events it yields."""
    return [item.event if isinstance(item, Outgoing) else item async for item in outgoing]


def renamed(event: E, **fields: Any) -> E:
    """Return a copy of an event with other fields."""
    return structs.replace(event, **fields)


class MemoryDocuments(Generic[T]):
    """A bucket in memory, with the same compare-and-swap."""

    def __init__(self) -> None:
        self.documents: dict[str, Document[T]] = {}
        self._revision = 0

    async def get(self, key: str) -> Document[T]:
        """Return the document and its revision."""
        return self.documents.get(key, Document(None))

    async def put(self, key: str, value: T, *, revision: int) -> int:
        """Write over exactly `revision`."""
        if (await self.get(key)).revision != revision:
            raise WrongRevision(key)
        self._revision += 1
        self.documents[key] = Document(value, self._revision)
        return self._revision

    async def create(self, key: str, value: T) -> bool:
        """Write the document if the key is free (or already holds this very value)."""
        found = await self.get(key)
        if found.value is not None:
            return found.value == value
        await self.put(key, value, revision=found.revision)
        return True

    async def delete(self, key: str) -> None:
        """Forget the document."""
        self.documents.pop(key, None)

    async def update(self, key: str, change: Callable[[T | None], tuple[T | None, R]]) -> R:
        """Apply a pure change."""
        found = await self.get(key)
        new, result = change(found.value)
        if new is not None:
            await self.put(key, new, revision=found.revision)
        return result


class ForgetfulDocuments(MemoryDocuments[T]):
    """A bucket whose answer to every write is lost: a change meets what it has just written."""

    async def update(self, key: str, change: Callable[[T | None], tuple[T | None, R]]) -> R:
        """Apply a change, and apply it again."""
        await super().update(key, change)
        return await super().update(key, change)


async def eventually(check: Callable[[], Any], *, within: float = 30.0, every: float = 0.02) -> Any:
    """Wait until `check` (plain or async) returns something true, and return it.

    A check that fails for a passing reason (`TransientError`: the broker was slow) is made again.

    Raises:
        AssertionError: it did not within `within` seconds; its last value is in the message.
    """
    stop = time.monotonic() + within
    while True:
        try:
            value = check()
            if asyncio.iscoroutine(value):
                value = await value
        except TransientError as error:
            last, value = error, None
        else:
            last = value
        if value:
            return value
        if time.monotonic() > stop:
            raise AssertionError(f"not within {within} s; last: {last!r}")
        await asyncio.sleep(every)


async def left_in_cycles(work: Callable[[], Awaitable[object]], *, times: int = 20) -> float:
    """Return how many objects `work` leaves, each time, that only the cycle collector frees.

    On the way of every message there must be none: they would be freed in pauses of a full sweep.
    """
    await work()  # what is made once
    gc.collect()
    gc.disable()
    try:
        for _ in range(times):
            await work()
        return gc.collect() / times
    finally:
        gc.enable()


class MemoryObjects:
    """An object store in memory."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}

    async def put(self, key: str, data: bytes) -> None:
        """Store an object, over an older one of the same key."""
        self.stored[key] = data

    async def get(self, key: str) -> bytes | None:
        """Return an object; None where there is none (any more)."""
        return self.stored.get(key)

    async def delete(self, key: str) -> None:
        """Forget an object; one that does not exist is forgotten already."""
        self.stored.pop(key, None)

    async def keys(self) -> list[str]:
        """Return the keys of all objects, sorted."""
        return sorted(self.stored)
