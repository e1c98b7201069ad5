"""When to call again."""

from queqiao_common.topology import EGRESS_READY
from queqiao_egress.pacing import retry_after
from queqiao_wechat.errcodes import Action


def pauses(count):
    return [retry_after(None, attempt, now_ms=0) for attempt in range(1, count + 1)]


def test_three_quick_attempts_come_first_and_then_ever_slower_ones():
    assert pauses(4)[:3] == [1.0, 2.0, 4.0]
    assert pauses(60) == sorted(pauses(60))


def test_nobody_waits_much_longer_than_the_outage_lasts():
    waited = 0.0
    for pause in pauses(60):
        assert pause <= max(4.0, waited * 0.75)
        waited += pause


def test_the_attempts_of_the_consumer_outlast_the_longest_window():
    assert sum(pauses(EGRESS_READY.attempts)) > 48 * 3600


def test_a_used_minute_is_waited_for_to_its_end():
    assert retry_after(Action.WAIT_MINUTE, 1, now_ms=120_000 + 45_000) == 16.0
