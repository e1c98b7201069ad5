"""Memory that has an end, and listeners that may be slow."""

from collections import deque

from queqiao_simulator.clock import Clock
from queqiao_simulator.transcript import NOTICES, Listeners, Notice, Shelves
from queqiao_simulator.views import quantiles


def test_the_oldest_of_all_shelves_goes_first():
    shelves, one, two = Shelves(limit=3), deque(), deque()

    forgotten = [shelves.append(shelf, n) for n, shelf in enumerate([one, two, one, two, two])]

    assert forgotten == [None, None, None, 0, 1]
    assert (list(one), list(two)) == ([2], [3, 4])


def test_a_slow_listener_learns_that_it_missed_something():
    listeners = Listeners()
    with listeners.listening() as queue:
        for _ in range(NOTICES + 1):
            listeners.tell(Notice("entry"))

        notices = [queue.get_nowait() for _ in range(NOTICES)]

    assert [notice.lost for notice in notices] == [False] * (NOTICES - 1) + [True]
    assert not listeners


def test_the_clock_can_be_pushed_forward():
    clock = Clock(source=lambda: 100.0)

    assert clock.advance(20.0) == clock.now() == 120.0


def test_quantiles_of_nothing_are_nothing():
    assert quantiles([]) == {}
    assert quantiles([3.0, 1.0, 2.0]) == {"p50": 2.0, "p90": 3.0, "p99": 3.0, "max": 3.0}
