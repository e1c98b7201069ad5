"""The ledger of windows and messages."""

from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.settings import Delivery as Settings
from queqiao_common.testing import NOW_MS, waiting
from queqiao_egress import quota
from queqiao_egress.channels.official import quota_of

QUOTA = quota_of(Settings())
HOUR = 3_600_000


def observe(ledger, *actions, now_ms=NOW_MS):
    return quota.observe(ledger, actions, QUOTA, now_ms=now_ms)


def left(ledger, delivery_id="d.1", *, used=0, now_ms=NOW_MS):
    return quota.left(ledger, delivery_id=delivery_id, used=used, now_ms=now_ms)


def take(ledger, count, delivery_id="d.1", *, now_ms=NOW_MS):
    return quota.take(ledger, delivery_id=delivery_id, count=count, now_ms=now_ms)


def test_a_message_allows_five_for_two_days():
    ledger = observe(None, waiting())

    assert left(ledger) == 5
    assert left(ledger, now_ms=NOW_MS + 48 * HOUR - 1) == 5
    assert left(ledger, now_ms=NOW_MS + 48 * HOUR) == 0


def test_a_tap_a_scan_and_a_follow_allow_three_for_a_minute_and_entering_two():
    for trigger, size in {"menu": 3, "scan": 3, "subscribe": 3, "enter": 2, "none": 0}.items():
        ledger = observe(None, waiting(trigger=trigger))
        assert left(ledger) == size
        assert left(ledger, now_ms=NOW_MS + 60_000) == 0


def test_a_tap_does_not_close_the_window_of_a_message():
    ledger = take(observe(None, waiting()), 4)
    ledger = observe(ledger, waiting("m_2", trigger="menu", received_ms=NOW_MS + 1))

    assert left(ledger, "d.2") == 3
    assert quota.allowed(ledger, now_ms=NOW_MS) == 5
    assert left(ledger, "d.2", now_ms=NOW_MS + 2 * 60_000) == 1


def test_a_message_counts_in_every_open_window():
    """Whether two windows add up is not documented: a sixth message must not be risked."""
    ledger = observe(None, waiting(), waiting("m_2", trigger="menu"))

    ledger = take(ledger, 4)

    assert left(ledger, "d.2") == 1
    assert left(ledger, "d.2", now_ms=NOW_MS + 2 * 60_000) == 1


def test_what_was_sent_after_an_action_counts_in_the_window_that_it_opens():
    """The answer to the first of three quick messages leaves when the third has long arrived."""
    ledger = take(observe(None, waiting()), 1, now_ms=NOW_MS + 20)

    ledger = observe(ledger, waiting("m_3", received_ms=NOW_MS + 10))

    assert left(ledger, "d.2", now_ms=NOW_MS + 30) == 4


def test_a_new_message_opens_the_window_anew_and_an_old_one_does_not():
    ledger = take(observe(None, waiting()), 5)

    assert left(observe(ledger, waiting()), "d.2") == 0
    assert left(observe(ledger, waiting("m_2", received_ms=NOW_MS + 1)), "d.2") == 5


def test_taking_for_the_same_delivery_again_changes_nothing():
    ledger = take(observe(None, waiting()), 2)

    assert take(ledger, 2) == ledger
    assert left(ledger) == 5
    assert left(ledger, used=2) == 3
    assert left(ledger, "d.2") == 3


def test_what_wechat_calls_spent_is_spent_until_the_user_acts_again():
    ledger = take(observe(None, waiting()), 3)

    ledger = quota.exhaust(ledger, delivery_id="d.1", used=1, now_ms=NOW_MS)

    assert left(ledger, used=1) == left(ledger, "d.2") == 0
    assert left(observe(ledger, waiting("m_2", received_ms=NOW_MS + 9)), "d.2") == 5


def test_where_nothing_is_known_wechat_is_asked():
    assert left(observe(None)) == 5


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["message", "menu", "none"]),
            st.integers(0, 90_000),
            st.integers(0, 7),
            st.integers(1, 3),
        ),
        max_size=30,
    )
)
def test_no_window_is_ever_overdrawn(steps):
    ledger, now_ms = None, NOW_MS
    spent = {}
    for number, (trigger, later, wanted, delivery) in enumerate(steps):
        now_ms += later
        action = waiting(f"m_{number}", trigger=trigger, received_ms=now_ms)
        ledger = observe(ledger, action, now_ms=now_ms)
        name = f"d.{number}.{delivery}"
        count = min(wanted, left(ledger, name, now_ms=now_ms))
        ledger = take(ledger, count, name, now_ms=now_ms)
        for grant in (ledger.by_message, ledger.by_event):
            if grant is not None:
                assert sum(grant.taken.values()) <= grant.size
                spent[grant.opened_ms, grant.size] = sum(grant.taken.values())
    assert all(count <= size for (_, size), count in spent.items())


def test_a_minute_holds_so_many_messages_and_no_more():
    """WeCom loses the next one without a word."""
    ledger = quota.spend(quota.Ledger(), count=29, now_ms=NOW_MS)
    ledger = quota.spend(ledger, count=1, now_ms=NOW_MS + 10_000)

    assert quota.paced(ledger, per_minute=30, now_ms=NOW_MS + 20_000) == (0, 40_000)
    assert quota.paced(ledger, per_minute=30, now_ms=NOW_MS + 60_000) == (29, 0)


def test_entering_a_chat_allows_what_the_channel_says():
    program = quota.Quota(message=quota.Share(5, 60.0), enter=quota.Share(2, 60.0))
    entered = quota.observe(None, (waiting(trigger="enter"),), program, now_ms=NOW_MS)
    tapped = quota.observe(quota.Ledger(), (waiting(trigger="menu"),), program, now_ms=NOW_MS)

    assert quota.allowed(entered, now_ms=NOW_MS) == 2
    assert quota.closes_ms(entered) == NOW_MS + 60_000
    assert quota.allowed(tapped, now_ms=NOW_MS) == 0
