"""Whether what WeChat hands over can be stored: a callback waits a second for it, and no longer.

The bus calls itself stalled when one publication has waited for 5 s; nothing waits so long here.
So it goes by publications that failed one after the other for as long as that.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from queqiao_common.answers import PubAck
from queqiao_common.errors import QueqiaoError
from queqiao_common.events import Event

STUCK = 5.0
"""Seconds of failures, none of them interrupted by a success."""
QUIET = 30.0
"""Seconds after the last failure until nothing is known any more: nobody has tried since."""


class Publisher(Protocol):
    """What ingress needs of the bus."""

    @property
    def connected(self) -> bool:
        """Whether the broker can be spoken to right now."""

    async def publish_event(
        self, event: Event, *, parent: Mapping[str, str] | None = None, deadline: float = 30.0
    ) -> PubAck:
        """Publish until acknowledged, for at most `deadline` seconds."""


class Storing:
    """Publishes as `publisher` does, and remembers since when in vain. `now` is monotonic."""

    def __init__(self, publisher: Publisher, *, now: Callable[[], float]) -> None:
        self._publisher = publisher
        self._now = now
        self._first: float | None = None
        self._last = 0.0

    @property
    def connected(self) -> bool:
        """Whether the broker can be spoken to right now."""
        return self._publisher.connected

    def is_stuck(self) -> bool:
        """Whether there has been no room, or no leader, for some time."""
        if self._first is None or self._now() - self._last > QUIET:
            return False
        return self._last - self._first >= STUCK

    async def publish_event(
        self, event: Event, *, parent: Mapping[str, str] | None = None, deadline: float = 30.0
    ) -> PubAck:
        """Publish until acknowledged, for at most `deadline` seconds."""
        try:
            ack = await self._publisher.publish_event(event, parent=parent, deadline=deadline)
        except QueqiaoError:
            self._failed()
            raise
        self._first = None
        return ack

    def _failed(self) -> None:
        now = self._now()
        if self._first is None or now - self._last > QUIET:
            self._first = now
        self._last = now
