"""Too many turns wait for a model: from when on, and until when, what is turned away."""

import enum
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

RELIEF = 0.5
"""The share of its limit to which the backlog must fall: a step shall not come and go."""
FIRST = 0.5
"""The share of the limit from which the cheapest is shed."""


class Shed(enum.IntEnum):
    """What is turned away; each step takes the one before it along."""

    NOTHING = 0
    REPEATS = 1
    NEW = 2


def is_too_many(waiting: int, limit: float, *, already: bool) -> bool:
    """Whether so many waiting turns are too many; 0 as a limit is none."""
    return limit > 0 and waiting > (limit * RELIEF if already else limit)


def step(waiting: int, limit: int, before: Shed) -> Shed:
    """Return what is to be turned away with so many waiting turns."""
    if is_too_many(waiting, limit, already=before >= Shed.NEW):
        return Shed.NEW
    if is_too_many(waiting, limit * FIRST, already=before >= Shed.REPEATS):
        return Shed.REPEATS
    return Shed.NOTHING


class Overload:
    """What this replica has last seen of the backlog; `waiting` reads it."""

    def __init__(self, *, limit: int, waiting: Callable[[], Awaitable[int]]) -> None:
        self._limit = limit
        self._waiting = waiting
        self._shed = Shed.NOTHING

    def shed(self) -> Shed:
        """Return what is turned away now."""
        return self._shed

    def sheds_repeats(self) -> bool:
        """Whether only questions that were asked already are turned away."""
        return self._shed is Shed.REPEATS

    def sheds_new(self) -> bool:
        """Whether new users are turned away as well."""
        return self._shed is Shed.NEW

    async def look(self) -> None:
        """Read the backlog, and enter or leave a step."""
        if not self._limit:
            return
        waiting = await self._waiting()
        after = step(waiting, self._limit, self._shed)
        if after is not self._shed:
            event = "overload.begun" if after > self._shed else "overload.eased"
            fields = {"sheds": after.name.lower(), "waiting": waiting, "limit": self._limit}
            log.warning(event, extra=fields)
        self._shed = after
