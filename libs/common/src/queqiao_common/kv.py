"""Documents in JetStream key-value buckets, changed by compare-and-swap.

A change is a pure function from the old document to the new one: the loser of a race re-reads and
the function runs again. Reads ask the leader (never a replica that may lag), and `update` starts
from the last revision this process saw, which saves the read when nobody else has written.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct

from queqiao_common.answers import STREAM_NOT_FOUND, Refused, WrongRevision
from queqiao_common.bus import Bus
from queqiao_common.errors import BrokerUnavailable, Conflict
from queqiao_common.topology import Bucket

T = TypeVar("T", bound=Struct)
R = TypeVar("R")

TRIES = 50
NOT_FOUND = 10037


class Document(Struct, Generic[T], frozen=True):
    """A value and the revision it was read at (0: there is none)."""

    value: T | None
    revision: int = 0


class Documents(Protocol[T]):
    """What a service needs of a bucket; `MemoryDocuments` passes the same contract suite."""

    async def get(self, key: str) -> Document[T]:
        """Return the document and its revision; `value` is None where there is none."""

    async def create(self, key: str, value: T) -> bool:
        """Write the document if the key is free; False when somebody else was first."""

    async def put(self, key: str, value: T, *, revision: int) -> int:
        """Write over exactly `revision`; raises `WrongRevision` where it is no longer the last."""

    async def delete(self, key: str) -> None:
        """Forget the document."""

    async def update(self, key: str, change: Callable[[T | None], tuple[T | None, R]]) -> R:
        """Apply a pure change by compare-and-swap and return what it says."""


class _Message(Struct):
    seq: int
    data: bytes = b""
    hdrs: bytes = b""


class _Found(Struct):
    message: _Message


_decode_found = msgspec.json.Decoder(_Found).decode


class JetStreamDocuments(Generic[T]):
    """A bucket of documents of one type.

    `read` decodes a document (and may bring one of an older release up to date); `patience` is how
    many seconds a write waits for a bucket that is full, or that the broker has lost. `lives` says
    for how many seconds a document is kept after its write (`math.inf`: for good, whatever the
    bucket's `ttl`; a longer one than that ends with it).
    """

    def __init__(
        self,
        bus: Bus,
        bucket: Bucket,
        kind: type[T],
        *,
        read: Callable[[bytes], T] | None = None,
        patience: float = 30.0,
        lives: Callable[[T], float] | None = None,
        remember: int = 2000,
    ) -> None:
        self._bus = bus
        self._bucket = bucket
        self._encode = msgspec.json.Encoder().encode
        self._decode = read or msgspec.json.Decoder(kind).decode
        self._patience = patience
        self._lives = lives
        self._seen: OrderedDict[str, Document[T]] = OrderedDict()
        self._remember = remember
        # A broker that was restored counts revisions again: what we saw says nothing there.
        bus.when_reconnected(self._seen.clear)
        bus.when_missing(self._seen.clear)

    def _subject(self, key: str) -> str:
        return f"$KV.{self._bucket.name}.{key}"

    def _note(self, key: str, document: Document[T]) -> Document[T]:
        self._seen[key] = document
        self._seen.move_to_end(key)
        if len(self._seen) > self._remember:
            self._seen.popitem(last=False)
        return document

    async def get(self, key: str) -> Document[T]:
        """Return the document and its revision; `value` is None where there is none.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        try:
            answer = await self._bus.api(
                f"STREAM.MSG.GET.{self._bucket.stream}", {"last_by_subj": self._subject(key)}
            )
        except Refused as error:
            if error.err_code == NOT_FOUND:
                return self._note(key, Document(None))
            if error.err_code == STREAM_NOT_FOUND:
                self._bus.missing()
                raise BrokerUnavailable(f"{self._bucket.name}: the bucket is gone") from error
            raise
        message = _decode_found(answer).message
        if _is_marker(message.hdrs):
            return self._note(key, Document(None, message.seq))
        return self._note(key, Document(self._decode(message.data), message.seq))

    async def put(self, key: str, value: T, *, revision: int) -> int:
        """Write over exactly `revision` and return the new one.

        Raises:
            WrongRevision: the document has changed since.
            BrokerUnavailable: no acknowledgement; the write may have happened.
        """
        headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        if self._lives is not None:
            headers["Nats-TTL"] = _message_ttl(self._lives(value))
        ack = await self._bus.publish(
            self._subject(key), self._encode(value), headers=headers, deadline=self._patience
        )
        self._note(key, Document(value, ack.seq))
        return ack.seq

    async def create(self, key: str, value: T) -> bool:
        """Write the document if the key is free; False when somebody else was first.

        A create whose acknowledgement was lost is recognised by its value: it was ours.
        """
        revision = 0
        for _ in range(TRIES):
            try:
                await self.put(key, value, revision=revision)
            except WrongRevision:
                found = await self.get(key)
                if found.value is not None:
                    return found.value == value
                revision = found.revision
            else:
                return True
        raise Conflict(f"{self._bucket.name}: {TRIES} attempts to create a key")

    async def delete(self, key: str) -> None:
        """Forget the document (a marker remains until the bucket's `ttl`)."""
        self._seen.pop(key, None)
        await self._bus.publish(self._subject(key), b"", headers={"KV-Operation": "DEL"})

    async def update(self, key: str, change: Callable[[T | None], tuple[T | None, R]]) -> R:
        """Apply a pure change by compare-and-swap and return what it says.

        `change` returns the new document (None: nothing to write) and a result. It may run several
        times. "Nothing to write" is believed only of a document read just now.

        Raises:
            Conflict: lost 50 races in a row.
            BrokerUnavailable: the broker did not answer.
        """
        seen = self._seen.get(key)
        fresh = seen is None
        document = seen if seen is not None else await self.get(key)
        for _ in range(TRIES):
            new, result = change(document.value)
            if new is None and fresh:
                return result
            if new is not None:
                try:
                    await self.put(key, new, revision=document.revision)
                except WrongRevision:
                    pass
                else:
                    return result
            document, fresh = await self.get(key), True
        raise Conflict(f"{self._bucket.name}: {TRIES} attempts to change a document")


def _message_ttl(seconds: float) -> str:
    """Return a lifetime as the broker reads it: whole seconds, at least one."""
    return "never" if seconds == math.inf else f"{max(1, math.ceil(seconds))}s"


def _is_marker(headers: bytes) -> bool:
    return b"KV-Operation" in headers or b"Nats-Marker-Reason" in headers
