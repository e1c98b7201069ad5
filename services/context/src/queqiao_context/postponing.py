"""Waiting is no failing: an event that must wait is not given up for it.

The broker counts every delivery, and so would the worker: an event that only a replica of the newer
release can handle, or that comes before others, would be buried after eight looks at it. Instead
of the last look it is published anew, with all of its attempts before it.
"""

import re
from collections.abc import AsyncIterator
from typing import TypeVar

from msgspec import structs
from queqiao_common.errors import Postponed
from queqiao_common.events import Event
from queqiao_common.topology import Consumer
from queqiao_common.worker import Handler, Outgoing, Received

E = TypeVar("E", bound=Event)

ROUNDS = 100
"""How often an event is published anew; then it fails like any other. A round takes 8 to 16 s."""
RENEWED = re.compile(r"(?P<id>.*)~(?P<times>[0-9]+)")


def patient(consumer: Consumer[E], handler: Handler[E]) -> Handler[E]:
    """Return the handler with that patience."""

    async def handle(received: Received[E]) -> AsyncIterator[Event | Outgoing]:
        try:
            async for item in handler(received):
                yield item
        except Postponed:
            again = renewed(received.event)
            if received.attempt < consumer.attempts or again is None:
                raise
            yield again

    return handle


def renewed(event: E) -> E | None:
    """Return the event under its next id; None once it has been renewed often enough."""
    before = RENEWED.fullmatch(event.id)
    name, times = (before["id"], int(before["times"])) if before else (event.id, 0)
    return structs.replace(event, id=f"{name}~{times + 1}") if times < ROUNDS else None
