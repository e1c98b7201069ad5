"""The only state that a process of Queqiao keeps: requests that are open now, and fresh offers.

An offer is heard by every replica, and remembered for as long as WeChat may deliver the message
once more: the delivery that will carry it may arrive later, or at another replica.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from prometheus_client import Gauge
from queqiao_common.claims import Claim
from queqiao_common.events import PassiveOffer

DELIVERIES = 3
"""How often WeChat delivers a message that is not answered (protocol reference 4.1)."""
REMEMBERED = 20.0
"""Seconds for which a message is known: longer than its three deliveries of 5 s."""
MOST_OPEN = 8
"""Open requests of one message: WeChat has three at most, who repeats a recorded one has more."""
MOST_REMEMBERED = 20_000
"""How many messages are known at once; above it the oldest are forgotten early."""

WAITING = Gauge("queqiao_ingress_waiting", "Callbacks held open by this replica.")

Key = tuple[str, str]
"""A message: account and msgid."""
Gone = Callable[[], Coroutine[Any, Any, None]]
"""Returns when the client has closed its connection."""


class Stay(Enum):
    """Why a held request is not answered."""

    WAIT = "its window is still open"
    SILENT = "the window is over, but WeChat will deliver again if nobody answers"
    GONE = "the other side has closed the connection"


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms one delivery of a message is held; `delivery` counts from 1."""

    mode: Literal["passive", "auto", "transfer"]
    delivery: int
    thinking: str

    def decide(self, offer: PassiveOffer | None, *, is_over: bool) -> Claim | Stay:
        """Say what to claim the message with, or that the request stays open."""
        if offer is not None and offer.now:
            return Claim(kind="reply", answer=offer.text, items=offer.items, form=offer.form)
        if not is_over:
            return Stay.WAIT
        if self.mode != "passive":
            return Claim(kind="later")
        if self.delivery < DELIVERIES:
            return Stay.SILENT
        if offer is None:
            return Claim(kind="thinking", answer=self.thinking)
        return Claim(kind="thinking", answer=offer.text, items=offer.items, form=offer.form)


class Seat:
    """One open request, told when there is an offer for it and when its client has gone."""

    def __init__(self, offer: PassiveOffer | None = None) -> None:
        self.offer = offer
        self.is_gone = False
        self._bell = asyncio.Event()

    def hear(self, offer: PassiveOffer) -> None:
        """Take an offer."""
        self.offer = offer
        self._bell.set()

    def leave(self) -> None:
        """Take note that nobody is there to be answered."""
        self.is_gone = True
        self._bell.set()

    async def hold(self, terms: Terms, *, until: float) -> Claim | Stay:
        """Hold the request until there is something to claim, or `until` (loop time)."""
        is_over = False
        while not self.is_gone:
            decision = terms.decide(self.offer, is_over=is_over)
            if decision is not Stay.WAIT:
                return decision
            is_over = not await self._news(until)
        return Stay.GONE

    async def linger(self, *, until: float) -> None:
        """Stay silent until the client has gone, or `until` (loop time)."""
        while not self.is_gone and await self._news(until):
            continue

    async def _news(self, until: float) -> bool:
        """Wait for the bell; False when `until` came first."""
        try:
            async with asyncio.timeout_at(until):
                await self._bell.wait()
        except TimeoutError:
            return False
        self._bell.clear()
        return True

    @asynccontextmanager
    async def watching(self, gone: Gone) -> AsyncIterator[None]:
        """Leave the seat as soon as `gone` returns, and at once if it need not even wait."""
        watcher = asyncio.create_task(gone())
        watcher.add_done_callback(lambda _: self.leave())
        await asyncio.sleep(0)  # the watcher's first step
        if watcher.done():
            self.leave()
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.wait([watcher])


@dataclass(frozen=True, slots=True)
class Known:
    """A message that was let in here, or that an offer was heard for, lately."""

    at: float
    offer: PassiveOffer | None


class WaitingRoom:
    """The open requests of this replica, and what it knows of messages of the last seconds.

    `now` is a clock in seconds that never goes back.
    """

    def __init__(
        self, *, seats: int, now: Callable[[], float], remembers: int = MOST_REMEMBERED
    ) -> None:
        self._limit = seats
        self._now = now
        self._remembers = remembers
        self._seats: dict[Key, set[Seat]] = {}
        self._taken = 0
        self._known: OrderedDict[Key, Known] = OrderedDict()

    def refuses(self, key: Key) -> bool:
        """Tell whether a message finds no seat.

        A repeated delivery always finds one: its message was accepted, so to ask the user for
        patience would be wrong, and the delivery it repeats is about to leave.
        """
        return self._taken >= self._limit and key not in self._known

    def is_crowded(self, key: Key) -> bool:
        """Tell whether a message has more open requests than WeChat would open."""
        return len(self._seats.get(key, ())) >= MOST_OPEN

    @contextmanager
    def seat(self, key: Key) -> Iterator[Seat]:
        """Keep a request in the room for the length of the context."""
        seat = Seat(self._offer_for(key))
        self._remember(key, seat.offer)
        self._seats.setdefault(key, set()).add(seat)
        self._taken += 1
        WAITING.inc()
        try:
            yield seat
        finally:
            WAITING.dec()
            self._taken -= 1
            self._seats[key].discard(seat)
            if not self._seats[key]:
                del self._seats[key]

    def hear(self, offer: PassiveOffer) -> None:
        """Tell an offer to the requests that wait for it, and remember it for later ones."""
        key = (offer.account, offer.msgid)
        offer = _better(self._offer_for(key), offer)
        self._remember(key, offer)
        for seat in self._seats.get(key, ()):
            seat.hear(offer)

    def _offer_for(self, key: Key) -> PassiveOffer | None:
        known = self._known.get(key)
        fresh = known is not None and known.at + REMEMBERED > self._now()
        return known.offer if known is not None and fresh else None

    def _remember(self, key: Key, offer: PassiveOffer | None) -> None:
        now = self._now()
        self._known[key] = Known(now, offer)
        self._known.move_to_end(key)
        while self._is_stale(next(iter(self._known.values())), now):
            self._known.popitem(last=False)

    def _is_stale(self, oldest: Known, now: float) -> bool:
        return len(self._known) > self._remembers or oldest.at + REMEMBERED <= now


def _better(old: PassiveOffer | None, new: PassiveOffer) -> PassiveOffer:
    """Prefer what is to be given at once; otherwise the later offer holds more of the answer."""
    return old if old is not None and old.now and not new.now else new
