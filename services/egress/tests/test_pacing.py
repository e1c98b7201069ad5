"""When to call again."""

from queqiao_egress.pacing import retry_after
from queqiao_wechat.errcodes import Action


def test_pauses_double_up_to_half_a_minute():
    pauses = [retry_after(Action.RETRY, attempt, now_ms=0) for attempt in (1, 2, 3, 6, 60)]

    assert pauses == [1.0, 2.0, 4.0, 30.0, 30.0]


def test_a_used_minute_is_waited_for_to_its_end():
    assert retry_after(Action.WAIT_MINUTE, 1, now_ms=120_000 + 45_000) == 16.0
