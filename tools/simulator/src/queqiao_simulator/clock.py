"""The platform's clock: real time, plus whatever a test has added to it."""

import time
from collections.abc import Callable


class Clock:
    """Unix seconds that run like the machine's and can be pushed forward."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._ahead = 0.0

    def now(self) -> float:
        """Unix time in seconds."""
        return self._source() + self._ahead

    def advance(self, seconds: float) -> float:
        """Go forward; answers the new time.

        Raises:
            ValueError: `seconds` is negative: the platform's time never runs back.
        """
        if seconds < 0:
            raise ValueError(f"cannot advance by {seconds} s: time does not run back")
        self._ahead += seconds
        return self.now()
