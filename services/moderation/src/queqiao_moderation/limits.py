"""How fast one user may write: a sliding minute, on values. Pure.

What is remembered is the sequence of each admitted message, so that a redelivered one is neither
counted twice nor judged otherwise than before, and what several replicas have seen can be joined.
"""

from msgspec import Struct

MINUTE_MS = 60_000
REPLICAS = 4
"""A replica admits this fraction of the limit by itself before it asks the others (see `share`)."""


class Admitted(Struct, frozen=True, array_like=True):
    """One message that was let through: when WeChat sent it, and its sequence in the stream."""

    at_ms: int
    sequence: int


class Pace(Struct, frozen=True):
    """The messages of one user that were let through in the last minute, oldest first."""

    admitted: tuple[Admitted, ...] = ()


def share(limit: int) -> int:
    """Return how many messages a minute one replica admits on its own knowledge.

    Two replicas that each admit a quarter without asking let through at most a quarter more than
    the limit, and ordinary users, who write far less, cost no write to the broker at all.
    """
    return limit // REPLICAS


def admit(pace: Pace, one: Admitted, *, limit: int) -> tuple[Pace, bool]:
    """Let one message through if fewer than `limit` were in the minute before it.

    Time is the message's own, so a backlog is judged as it was written and not as it is worked off.
    """
    if one in pace.admitted:
        return pace, True
    since = one.at_ms - MINUTE_MS
    recent = sum(since < other.at_ms <= one.at_ms for other in pace.admitted)
    if recent >= limit:
        return pace, False
    return join(pace, Pace((one,))), True


def join(pace: Pace, other: Pace) -> Pace:
    """Join what two replicas know, and forget what is older than a minute."""
    both = sorted({*pace.admitted, *other.admitted}, key=lambda one: (one.at_ms, one.sequence))
    since = both[-1].at_ms - MINUTE_MS if both else 0
    return Pace(tuple(one for one in both if one.at_ms > since))
