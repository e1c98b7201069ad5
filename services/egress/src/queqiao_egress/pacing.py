"""When to call WeChat again after it refused, or could not be reached."""

from queqiao_wechat.errcodes import Action

QUICK = 3
GROWTH = 1.2
"""From the fourth attempt on the pause is a fifth of the time that has passed: whoever waited an
hour for WeChat waits at most twelve minutes more, and 48 h take fewer attempts than there are."""
AFTER_THE_MINUTE = 1.0


def retry_after(action: Action | None, attempt: int, *, now_ms: int) -> float:
    """Return the seconds to wait before attempt `attempt + 1` (None: WeChat was not reached).

    A used-up minute ends with the minute. Anything else is tried again after 1, 2 and 4 s, since
    most failures are over by then, and then ever more slowly, for as long as a window is open.
    """
    if action is Action.WAIT_MINUTE:
        return until_next_minute(now_ms)
    if attempt <= QUICK:
        return float(2 ** (attempt - 1))
    return float(2 ** (QUICK - 1) * GROWTH ** (attempt - QUICK))


def until_next_minute(now_ms: int) -> float:
    """Return the seconds until WeChat counts anew, and one for clocks that differ."""
    return 60.0 - now_ms % 60_000 / 1000 + AFTER_THE_MINUTE
