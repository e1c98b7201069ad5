"""What all replicas together ask of a model with one key, kept below its provider's limits. Pure.

A document in the bucket `loads` says what was granted to whom. Requests and tokens are granted for
a moment and count for the minute that follows, whether they were used or not; what is known to be
unused is given back. Answers at once are leases: those of a replica that was killed run out.
"""

from collections.abc import Mapping

from msgspec import Struct
from queqiao_common.events import Millis
from queqiao_common.settings import Model

WINDOW_MS = 60_000
SLICE_MS = 5_000
"""Grants of this many milliseconds are counted together, and forgotten together."""
LEASE_MS = 10_000
"""Milliseconds after which the answers of a replica that says nothing are thought to be over."""


class Amount(Struct, frozen=True, omit_defaults=True):
    """Something of what is limited: requests and tokens in a minute, answers at once."""

    requests: int = 0
    tokens: int = 0
    answers: int = 0


class Lease(Struct, frozen=True):
    """Answers at once that a replica may give, until then."""

    answers: int
    until_ms: Millis


class Load(Struct, frozen=True, omit_defaults=True):
    """The document: what was granted in each slice of the last minute, and the leases."""

    granted: Mapping[str, Amount] = {}
    leases: Mapping[str, Lease] = {}


class Limits(Struct, frozen=True):
    """What one key of a model allows; None: anything."""

    requests: int | None = None
    tokens: int | None = None
    answers: int | None = None


def limits_of(model: Model) -> Limits:
    """Return what a model's settings allow with each of its keys."""
    return Limits(model.requests_per_minute, model.tokens_per_minute, model.concurrency)


def slice_of(now_ms: int) -> str:
    """Return the name of the slice of time in which a grant is counted."""
    return str(now_ms // SLICE_MS)


def tidied(load: Load | None, now_ms: int) -> Load:
    """Return a document without what counts no more."""
    load = load or Load()
    oldest = (now_ms - WINDOW_MS) // SLICE_MS
    return Load(
        granted={at: amount for at, amount in load.granted.items() if int(at) >= oldest},
        leases={who: one for who, one in load.leases.items() if one.until_ms > now_ms},
    )


def grant(
    load: Load, limits: Limits, *, replica: str, need: Amount, want: Amount, now_ms: int
) -> tuple[Load, Amount] | None:
    """Grant what a replica wants, but no more than half of what is free, and at least its need.

    More than the need saves the writes of the requests to come; all that is free would leave
    nothing to the other replicas. None: not even the need is free. `load` is tidied.
    """
    free = _free(load, limits)
    given = Amount(
        _share(need.requests, want.requests, free.requests),
        _share(need.tokens, want.tokens, free.tokens),
        _share(need.answers, want.answers, free.answers),
    )
    if given.requests < need.requests or given.tokens < need.tokens or given.answers < need.answers:
        return None
    at = slice_of(now_ms)
    counted = load.granted.get(at, Amount())
    held = load.leases[replica].answers if replica in load.leases else 0
    return Load(
        granted={
            **load.granted,
            at: Amount(counted.requests + given.requests, counted.tokens + given.tokens),
        },
        leases=_leased(load, replica, held + given.answers, now_ms),
    ), given


def settle(
    load: Load, *, replica: str, unused: Mapping[str, Amount], answers: int, now_ms: int
) -> Load:
    """Take back what was granted in these slices and not used, and renew the lease for `answers`.

    Negative amounts were used beyond the grant: tokens are only counted when an answer is over.
    `load` is tidied.
    """
    granted = dict(load.granted)
    for at, amount in unused.items():
        if at in granted:
            was = granted[at]
            granted[at] = Amount(
                max(0, was.requests - amount.requests), max(0, was.tokens - amount.tokens)
            )
    return Load(granted=granted, leases=_leased(load, replica, answers, now_ms))


def need_of(tokens: int, limits: Limits) -> Amount:
    """Return what one answer of so many tokens needs: nothing of what is not limited.

    One that is larger than the limit takes the whole of it, or it could never be had.
    """
    return Amount(
        requests=0 if limits.requests is None else 1,
        tokens=0 if limits.tokens is None else min(tokens, limits.tokens),
        answers=0 if limits.answers is None else 1,
    )


def _free(load: Load, limits: Limits) -> Limits:
    granted = load.granted.values()
    return Limits(
        _left(limits.requests, sum(one.requests for one in granted)),
        _left(limits.tokens, sum(one.tokens for one in granted)),
        _left(limits.answers, sum(one.answers for one in load.leases.values())),
    )


def _left(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(0, limit - used)


def _share(need: int, want: int, free: int | None) -> int:
    if free is None:
        return max(need, want)
    return min(free, max(need, min(want, free // 2)))


def _leased(load: Load, replica: str, answers: int, now_ms: int) -> dict[str, Lease]:
    others = {who: one for who, one in load.leases.items() if who != replica}
    return others | ({replica: Lease(answers, now_ms + LEASE_MS)} if answers > 0 else {})
