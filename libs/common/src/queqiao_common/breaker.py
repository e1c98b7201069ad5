"""A circuit breaker as a value: whoever keeps failing is left alone for a while. Pure.

Instants are seconds of a monotonic clock.
"""

from msgspec import Struct, structs


class Breaker(Struct, frozen=True):
    """Closed while `opened` is None; else open, and half-open once a trial has begun.

    A complete answer makes it a new one, whatever was before.

    A trial that is never reported (its process was told to stop) counts as lost after another
    pause.
    """

    failures: int = 0
    opened: float | None = None
    trial: float | None = None

    @property
    def state(self) -> str:
        """Its name in metrics: closed, open or half_open."""
        if self.opened is None:
            return "closed"
        return "open" if self.trial is None else "half_open"


class Rules(Struct, frozen=True):
    """How many failures in a row open it, and after how many seconds one trial is let through."""

    failures: int
    pause: float


def opens_in(breaker: Breaker, rules: Rules, now: float) -> float:
    """Return the seconds until a call may be let through: 0 when it may now."""
    if breaker.opened is None:
        return 0.0
    since = breaker.opened if breaker.trial is None else breaker.trial
    return min(rules.pause, max(0.0, since + rules.pause - now))


def begun(breaker: Breaker, now: float) -> Breaker:
    """Note that a call was let through: on an open breaker it is the trial."""
    return breaker if breaker.opened is None else structs.replace(breaker, trial=now)


def released(breaker: Breaker) -> Breaker:
    """Note a call that says nothing of the model: the next one may be the trial instead."""
    return structs.replace(breaker, trial=None)


def failed(breaker: Breaker, rules: Rules, now: float) -> Breaker:
    """Note a failure: one more in a row, or the trial's, which opens it again."""
    failures = breaker.failures + 1
    if breaker.opened is not None or failures >= rules.failures:
        return Breaker(failures=failures, opened=now)
    return Breaker(failures=failures)
