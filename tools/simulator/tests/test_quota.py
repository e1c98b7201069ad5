"""What a user's action allows (protocol reference 6.1)."""

from hypothesis import given
from hypothesis import strategies as st
from queqiao_simulator.quota import (
    CLOSED,
    COUNT_USED,
    OK,
    WINDOW_CLOSED,
    allowance,
    is_open,
    on_event,
    on_message,
    spend,
)
from queqiao_simulator.settings import QuotaRules

RULES = QuotaRules()
NOW = 1_767_225_600.0
DAY = 86_400.0


def spent(window, now, times):
    codes = []
    for _ in range(times):
        code, window = spend(window, now)
        codes.append(code)
    return codes


def test_a_message_allows_five_in_48_hours():
    window = on_message(NOW, RULES)

    assert spent(window, NOW + 2 * DAY - 1, 6) == [OK] * 5 + [COUNT_USED]
    assert spent(window, NOW + 2 * DAY, 1) == [WINDOW_CLOSED]


def test_a_click_allows_three_in_a_minute():
    window = on_event("CLICK", NOW, RULES)

    assert spent(window, NOW + 59, 4) == [OK] * 3 + [COUNT_USED]
    assert spent(window, NOW + 60, 1) == [WINDOW_CLOSED]


def test_looking_at_a_page_allows_nothing():
    assert spent(on_event("VIEW", NOW, RULES), NOW, 1) == [WINDOW_CLOSED]


def test_who_never_wrote_cannot_be_written_to():
    assert spend(CLOSED, NOW) == (WINDOW_CLOSED, CLOSED)


def test_leaving_closes_the_window():
    window = on_event("unsubscribe", NOW, RULES, on_message(NOW, RULES))

    assert not is_open(window, NOW)


def test_a_new_message_renews_the_count():
    _, used = spend(on_message(NOW, RULES), NOW)

    assert spent(on_message(NOW + 1, RULES, used), NOW + 1, 6) == [OK] * 5 + [COUNT_USED]


def test_two_triggers_do_not_add_up():
    """Undocumented, so the simulator takes the strict side: what passes here passes anywhere."""
    window = on_message(NOW, RULES, on_event("subscribe", NOW, RULES))

    assert spent(window, NOW, 6) == [OK] * 5 + [COUNT_USED]


def test_a_person_reads_what_is_left():
    _, window = spend(on_message(NOW, RULES), NOW)

    seen = allowance(window, NOW, RULES)

    assert (seen.left, seen.of, seen.closes_at) == (4, 5, NOW + 2 * DAY)
    assert allowance(CLOSED, NOW, RULES).closes_at is None


@given(st.lists(st.sampled_from(["message", "CLICK", "send", "wait"]), max_size=60))
def test_never_more_than_the_largest_allowance_between_two_actions(actions):
    window, now, since = CLOSED, NOW, 0
    for action in actions:
        if action == "wait":
            now += 40
        elif action == "send":
            code, window = spend(window, now)
            since += code == OK
            assert since <= max(RULES.message_count, RULES.event_count)
        else:
            since = 0
            window = (
                on_message(now, RULES, window)
                if action == "message"
                else on_event(action, now, RULES, window)
            )
