from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.breaker import Breaker, Rules, begun, failed, opens_in, released

RULES = Rules(failures=2, pause=15.0)


def opened(now=100.0):
    return failed(failed(Breaker(), RULES, now), RULES, now)


def test_it_opens_after_so_many_failures_in_a_row():
    once = failed(Breaker(), RULES, 100.0)

    assert opens_in(once, RULES, 100.0) == 0
    assert opens_in(opened(), RULES, 104.0) == 11.0
    assert opened().state == "open"


def test_after_the_pause_it_lets_one_trial_through():
    assert opens_in(opened(), RULES, 115.0) == 0

    trying = begun(opened(), 115.0)

    assert trying.state == "half_open"
    assert opens_in(trying, RULES, 116.0) == 14.0


def test_a_trial_that_fails_opens_it_for_another_pause():
    again = failed(begun(opened(), 115.0), RULES, 120.0)

    assert again.state == "open"
    assert opens_in(again, RULES, 120.0) == 15.0


def test_a_trial_that_is_never_reported_does_not_block_for_ever():
    assert opens_in(begun(opened(), 115.0), RULES, 130.0) == 0


def test_a_trial_that_said_nothing_gives_its_place_to_the_next():
    assert opens_in(released(begun(opened(), 115.0)), RULES, 116.0) == 0


def test_a_call_on_a_closed_breaker_is_no_trial():
    assert begun(Breaker(), 1.0) == Breaker()


@given(st.lists(st.sampled_from(["begin", "fail", "release"])), st.floats(0, 1e6))
def test_it_never_stays_open_longer_than_a_pause_after_the_last_event(events, now):
    breaker = Breaker()
    for event in events:
        match event:
            case "begin":
                breaker = begun(breaker, now)
            case "fail":
                breaker = failed(breaker, RULES, now)
            case _:
                breaker = released(breaker)

    assert opens_in(breaker, RULES, now) <= RULES.pause
    assert opens_in(breaker, RULES, now + RULES.pause) == 0
