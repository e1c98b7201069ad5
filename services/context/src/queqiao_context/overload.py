"""Too many turns wait for a model: from when on, and until when, new users are turned away."""

import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

RELIEF = 0.5
"""The share of the limit to which the backlog must fall: the mode shall not come and go."""


def is_too_many(waiting: int, limit: int, *, already: bool) -> bool:
    """Whether so many waiting turns are too many; 0 as a limit is none."""
    return limit > 0 and waiting > (limit * RELIEF if already else limit)


class Overload:
    """What this replica has last seen of the backlog; `waiting` reads it."""

    def __init__(self, *, limit: int, waiting: Callable[[], Awaitable[int]]) -> None:
        self._limit = limit
        self._waiting = waiting
        self._is_on = False

    def is_on(self) -> bool:
        """Whether new users are turned away."""
        return self._is_on

    async def look(self) -> None:
        """Read the backlog, and enter or leave the mode."""
        if not self._limit:
            return
        waiting = await self._waiting()
        is_on = is_too_many(waiting, self._limit, already=self._is_on)
        if is_on != self._is_on:
            event = "overload.begun" if is_on else "overload.over"
            log.warning(event, extra={"waiting": waiting, "limit": self._limit})
        self._is_on = is_on
