"""When to call WeChat again after it refused, or could not be reached."""

from queqiao_wechat.errcodes import Action

LONGEST = 30.0
AFTER_THE_MINUTE = 1.0


def retry_after(action: Action | None, attempt: int, *, now_ms: int) -> float:
    """Return the seconds to wait before attempt `attempt + 1` (None: WeChat was not reached).

    A used-up minute ends with the minute; anything else doubles from 1 s to 30 s.
    """
    if action is Action.WAIT_MINUTE:
        return until_next_minute(now_ms)
    return float(min(LONGEST, 2.0 ** min(attempt - 1, 10)))


def until_next_minute(now_ms: int) -> float:
    """Return the seconds until WeChat counts anew, and one for clocks that differ."""
    return 60.0 - now_ms % 60_000 / 1000 + AFTER_THE_MINUTE
