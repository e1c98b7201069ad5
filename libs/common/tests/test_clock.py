"""All replicas go by the broker's clock."""

from queqiao_common.clock import BrokerClock


class Broker:
    """Says the time, after a while."""

    def __init__(self):
        self.monotonic = 100.0
        self.takes = 0.0

    async def api(self, verb):
        self.monotonic += self.takes
        return b'{"ts":"2026-01-01T00:00:00.5Z","config":{}}'


NOW_MS = 1_767_225_600_500


def clock_of(broker, wall):
    return BrokerClock(broker, monotonic=lambda: broker.monotonic, wall=lambda: wall)


async def test_two_hosts_whose_clocks_differ_by_minutes_agree():
    """A turn that one opens must not be over for the other."""
    broker = Broker()
    clocks = [clock_of(broker, NOW_MS / 1000 + wrong) for wrong in (-120, 120)]

    for clock in clocks:
        await clock.ask()

    assert [clock.now_ms() for clock in clocks] == [NOW_MS, NOW_MS]


async def test_time_goes_on_between_two_questions():
    broker = Broker()
    clock = clock_of(broker, 0.0)
    await clock.ask()

    broker.monotonic += 2.5

    assert clock.now_ms() == NOW_MS + 2500


async def test_a_late_answer_is_better_than_none_and_worse_than_an_earlier_one():
    broker = Broker()
    clock = clock_of(broker, 0.0)
    broker.takes = 4.0
    await clock.ask()
    assert clock.now_ms() == NOW_MS + 2000

    await clock.ask()

    assert clock.now_ms() == NOW_MS + 6000


async def test_a_host_that_cannot_ask_goes_by_its_own_clock():
    assert clock_of(Broker(), 5.0).now_ms() == 5000
