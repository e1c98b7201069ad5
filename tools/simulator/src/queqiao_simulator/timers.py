"""Things that happen later by the platform's clock, which a test may push forward."""

import asyncio
import heapq
import itertools
from collections.abc import Callable

from queqiao_simulator.clock import Clock


class Timers:
    """Calls due at an instant; `wake` is for whoever has moved the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._next: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Call `act` when this many seconds have passed by the platform's clock."""
        heapq.heappush(self._due, (self._clock.now() + seconds, next(self._order), act))
        self.wake()

    def wake(self) -> None:
        """Call what has become due, and wait for the rest."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        while self._due and self._due[0][0] <= self._clock.now():
            heapq.heappop(self._due)[2]()
        if self._due:
            wait = max(self._due[0][0] - self._clock.now(), 0.001)
            self._next = asyncio.get_running_loop().call_later(wait, self.wake)

    def clear(self) -> None:
        """Forget everything that was to come."""
        self._due.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None
