"""The time that all replicas agree on: the broker's.

Deadlines, windows, leases and markers are written by one replica and compared with the time by
another, and the broker itself fires the timers. The clocks of their hosts may differ, or step; so
each replica asks the broker, and goes on from there by its own monotonic clock.
"""

import time
from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec import Struct

from queqiao_common.bus import Bus
from queqiao_common.topology import CHAT

AGAIN = 10.0
"""Seconds between two questions: how long a machine that slept is wrong at most."""
PROMPT = 0.5
"""Seconds within which an answer must come to be worth more than what is known."""


class _Info(Struct):
    ts: str


class BrokerClock:
    """Unix time as the broker has it; this host's own until the broker has said."""

    def __init__(
        self,
        bus: Bus,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._monotonic = monotonic
        self._began = wall() - monotonic()
        self._is_known = False

    def now_ms(self) -> int:
        """Return the time, in ms."""
        return int((self._began + self._monotonic()) * 1000)

    async def ask(self) -> None:
        """Ask the broker for the time; right to half the time that its answer takes.

        Raises:
            BrokerUnavailable, Refused: there is no answer.
        """
        sent = self._monotonic()
        answer = await self._bus.api(f"STREAM.INFO.{CHAT.name}")
        received = self._monotonic()
        if self._is_known and received - sent > PROMPT:
            return
        stamp = datetime.fromisoformat(msgspec.json.decode(answer, type=_Info).ts).timestamp()
        self._began = stamp - (sent + received) / 2
        self._is_known = True
