from hypothesis import given
from hypothesis import strategies as st
from queqiao_moderation.limits import MINUTE_MS, Admitted, Pace, admit, join, share

MESSAGES = st.lists(st.integers(0, 3 * MINUTE_MS), max_size=60).map(
    lambda times: [Admitted(at, number) for number, at in enumerate(sorted(times))]
)


def admitted(messages, limit):
    pace, passed = Pace(), []
    for one in messages:
        pace, is_admitted = admit(pace, one, limit=limit)
        if is_admitted:
            passed.append(one)
    return pace, passed


def test_the_limit_is_what_passes_in_a_minute():
    burst = [Admitted(1000 + number, number) for number in range(5)]

    _, passed = admitted([*burst, Admitted(1000 + MINUTE_MS, 9)], limit=3)

    assert [one.sequence for one in passed] == [0, 1, 2, 9]


def test_a_redelivered_message_passes_again_and_is_counted_once():
    pace, _ = admitted([Admitted(1, 1), Admitted(2, 2)], limit=2)

    again, is_admitted = admit(pace, Admitted(1, 1), limit=2)

    assert is_admitted
    assert again == pace


def test_a_quarter_is_admitted_without_asking():
    assert share(30) == 7
    assert share(3) == 0


@given(MESSAGES, st.integers(1, 10))
def test_no_minute_ever_holds_more_than_the_limit(messages, limit):
    _, passed = admitted(messages, limit)

    for one in passed:
        assert sum(one.at_ms - MINUTE_MS < other.at_ms <= one.at_ms for other in passed) <= limit


@given(MESSAGES, st.integers(1, 10))
def test_what_is_remembered_is_bounded_by_the_limit(messages, limit):
    pace, _ = admitted(messages, limit)

    assert len(pace.admitted) <= limit


@given(MESSAGES, MESSAGES)
def test_joining_is_the_same_in_either_order_and_when_repeated(one, other):
    left, right = Pace(tuple(one)), Pace(tuple(other))
    both = join(left, right)

    assert both == join(right, left)
    assert join(both, right) == both
