"""What an HTTP status means for the next attempt, whatever protocol it stands before. Pure."""

import math
from email.utils import parsedate_to_datetime

from queqiao_llm.completion import Reason


def reason_of(status: int) -> Reason:
    """Say what an HTTP status (of a response, or within one) means for the next attempt."""
    if status == 429:
        return Reason.RATE_LIMITED
    if status == 408 or status >= 500:
        return Reason.SERVER_ERROR
    return Reason.REFUSED


def retry_after(header: str, now: float) -> float | None:
    """Read a Retry-After header: seconds, or a date. None: there is none, or it makes no sense."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - now
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
