"""Log lines that strangers can cause, in moderation: whoever floods the door floods no disk."""

from collections.abc import Callable


class Sparing:
    """Lets through `per_second` lines a second, and counts the others; `now` is in seconds."""

    def __init__(self, *, per_second: int, now: Callable[[], float]) -> None:
        self._per_second = per_second
        self._now = now
        self._since = float("-inf")
        self._let_through = 0
        self._kept_back = 0

    def admits(self) -> bool:
        """Whether one more line may be written now."""
        now = self._now()
        if now - self._since >= 1:
            self._since, self._let_through = now, 0
        if self._let_through < self._per_second:
            self._let_through += 1
            return True
        self._kept_back += 1
        return False

    def kept_back(self) -> int:
        """Return how many lines were kept back since this was asked last."""
        count, self._kept_back = self._kept_back, 0
        return count
