"""What happens later by the platform's clock."""

from queqiao_common.testing import eventually
from queqiao_simulator.clock import Clock
from queqiao_simulator.timers import Timers


async def test_things_happen_in_the_order_of_their_time():
    clock = Clock(lambda: 100.0)
    timers, done = Timers(clock), []
    for seconds in (20, 10, 30):
        timers.later(seconds, lambda seconds=seconds: done.append(seconds))

    clock.advance(25)
    timers.wake()

    assert done == [10, 20]
    assert len(timers) == 1
    timers.clear()


async def test_real_time_passes_by_itself():
    timers, done = Timers(Clock()), []
    timers.later(0.01, lambda: done.append(1))

    async def is_done():
        return done == [1]

    await eventually(is_done)


async def test_what_is_forgotten_does_not_happen():
    clock = Clock(lambda: 100.0)
    timers, done = Timers(clock), []
    timers.later(1, lambda: done.append(1))

    timers.clear()
    clock.advance(2)
    timers.wake()

    assert done == []
