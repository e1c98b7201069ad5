"""Pull consumers: ask for as much as there is room for, and hear every answer.

One subscription and a running total of what has been asked, instead of one `fetch` after another:
an event that arrives while others are being handled is delivered at once, and an idle consumer
costs one request every few seconds. After a reconnect, and whenever the broker owes an answer for
too long, what was asked counts as lost and is asked again.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from queqiao_common.answers import Raw
from queqiao_common.bus import Bus

log = logging.getLogger(__name__)

EXPIRES = 5.0
GRACE = 1.0

QUIET = 0.1
"""How long nothing must have come, in seconds, before a puller that stops takes its leave."""
LEAVE = 2.0
"""How long it waits for that at most, in seconds."""

PENDING = "Nats-Pending-Messages"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the broker says about one delivery; it is written in the reply subject.

    `sequence` is its place in the stream, `count` its place among the deliveries of `consumer`.
    """

    attempt: int
    sequence: int
    published_ms: int
    consumer: str
    count: int


def parse_metadata(reply: str) -> Metadata:
    """Read the acknowledgement subject of version 1 (9 tokens) or 2 (11 and more).

    Raises:
        ValueError: it is not one.
    """
    tokens = reply.split(".")
    if len(tokens) < 9 or tokens[:2] != ["$JS", "ACK"]:
        raise ValueError(f"not an acknowledgement subject: {reply!r}")
    consumer, delivered, sequence, count, nanos = tokens[3:8] if len(tokens) == 9 else tokens[5:10]
    return Metadata(int(delivered), int(sequence), int(nanos) // 1_000_000, consumer, int(count))


class Puller:
    """Keeps up to `slots` events of one consumer in hand.

    `handle` is called for each delivery and must call `done()` once for each when it is finished.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        stream: str,
        consumer: str,
        slots: int,
        handle: Callable[[Raw], None],
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self._bus = bus
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._name = consumer
        self._slots = slots
        self._handle = handle
        self._on_lost = on_lost
        self._busy = 0
        self._asked = 0
        self._due = 0.0
        self._request = 0
        self._inbox = bus.new_inbox()
        self._heard = 0
        self._stopped = asyncio.Event()
        self._closing = False
        self._wake = asyncio.Event()
        self._pause = 0.0

    def done(self) -> None:
        """Give back one slot."""
        self._busy -= 1
        if self._room() >= max(1, self._slots // 4):
            self._wake.set()

    def _room(self) -> int:
        return self._slots - self._busy - self._asked

    def _forget(self) -> None:
        self._asked = 0
        self._wake.set()

    async def run(self) -> None:
        """Pull until `stop()` is called."""
        self._bus.when_reconnected(self._forget)
        unsubscribe = await self._bus.subscribe(f"{self._inbox}.*", self._receive)
        try:
            while not self._stopped.is_set():
                self._wake.clear()
                await self._ask()
                try:
                    async with asyncio.timeout(self._until_due()):
                        await self._wake.wait()
                except TimeoutError:
                    self._asked = 0
                if self._pause:
                    await asyncio.sleep(self._pause)
                    self._pause = 0.0
            await self._hear_out()
        finally:
            self._closing = True
            await unsubscribe()

    async def _hear_out(self) -> None:
        """Wait until what was asked has come, or nothing comes any more.

        A request cannot be taken back. What the broker has handed out, and not written to us by the
        time that the subscription ends, is nobody's until its `ack_wait` is over (ADR 0002).
        """
        heard, until = -1, time.monotonic() + LEAVE
        while self._asked and heard != self._heard and time.monotonic() < until:
            heard = self._heard
            await asyncio.sleep(QUIET)

    def stop(self) -> None:
        """Ask for nothing more; what was asked, and what is in hand, is still taken."""
        self._stopped.set()
        self._wake.set()

    @property
    def closing(self) -> bool:
        """Whether what still comes should be given back: nobody waits for it here."""
        return self._closing

    def _until_due(self) -> float:
        return max(0.05, self._due - time.monotonic()) if self._asked else EXPIRES

    async def _ask(self) -> None:
        room = self._room()
        if room < max(1, self._slots // 4) and self._asked:
            return
        if room <= 0:
            return
        self._request += 1
        self._asked += room
        self._due = time.monotonic() + EXPIRES + GRACE
        body = msgspec.json.encode({"batch": room, "expires": int(EXPIRES * 1e9)})
        await self._bus.tell(self._subject, body, reply=f"{self._inbox}.{self._request}")

    def _receive(self, raw: Raw) -> None:
        if raw.reply.startswith("$JS.ACK."):
            self._asked = max(0, self._asked - 1)
            self._heard += 1
            self._busy += 1
            self._handle(raw)
            return
        self._answered(raw.headers or {})

    def _answered(self, headers: dict[str, str]) -> None:
        """Take note of a status: an expired request, or a consumer that is gone."""
        status = headers.get("Status", "")
        if status == "100":
            return
        self._asked = max(0, self._asked - int(headers.get(PENDING, self._asked)))
        if status in {"503", "404"} or (
            status == "409" and "Deleted" in headers.get("Description", "")
        ):
            log.warning("consumer.unreachable", extra={"consumer": self._name, "status": status})
            self._pause = 0.5
            self._bus.missing()
            if self._on_lost is not None:
                self._on_lost()
        self._wake.set()
