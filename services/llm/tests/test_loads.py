from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.testing import NOW_MS
from queqiao_llm.loads import (
    LEASE_MS,
    SLICE_MS,
    WINDOW_MS,
    Amount,
    Limits,
    Load,
    grant,
    need_of,
    settle,
    slice_of,
    tidied,
)

LIMITS = Limits(requests=10, tokens=1000, answers=2)
ONE = Amount(1, 100, 1)


def granted(load=None, limits=LIMITS, *, replica="a", need=ONE, want=ONE, now_ms=NOW_MS):
    return grant(tidied(load, now_ms), limits, replica=replica, need=need, want=want, now_ms=now_ms)


def test_what_is_granted_counts_for_all_replicas():
    load, first = granted()
    _, second = granted(load, replica="b")

    assert first == second == ONE
    assert granted(load, Limits(requests=1), replica="b", need=Amount(1), want=Amount(1)) is None


def test_a_replica_gets_more_than_it_needs_but_leaves_half():
    _, given = granted(want=Amount(8, 800, 2))

    assert given == Amount(5, 500, 1)


def test_what_was_granted_is_free_again_after_a_minute():
    load, _ = granted(need=Amount(10), want=Amount(10))

    assert granted(load, now_ms=NOW_MS + WINDOW_MS - 1) is None
    assert granted(load, now_ms=NOW_MS + WINDOW_MS + SLICE_MS) is not None


def test_the_lease_of_a_killed_replica_runs_out():
    """Else its answers at once would be lost to the others for ever."""
    limits, answer = Limits(answers=1), Amount(answers=1)
    load, _ = granted(None, limits, need=answer, want=answer)

    assert granted(load, limits, replica="b", need=answer, want=answer) is None
    assert granted(load, limits, replica="b", need=answer, want=answer, now_ms=NOW_MS + LEASE_MS)


def test_what_is_not_used_can_be_had_by_others():
    load, _ = granted(need=Amount(10, 1000, 2), want=Amount())
    unused = {slice_of(NOW_MS): Amount(9, 900)}
    load = settle(load, replica="a", unused=unused, answers=1, now_ms=NOW_MS)

    assert granted(load, replica="b", need=Amount(9, 900, 1), want=Amount()) is not None


def test_what_was_used_beyond_the_grant_counts_too():
    load, _ = granted(need=Amount(1, 100), want=Amount())
    unused = {slice_of(NOW_MS): Amount(0, -900)}
    load = settle(load, replica="a", unused=unused, answers=0, now_ms=NOW_MS)

    assert granted(load, need=Amount(0, 1), want=Amount()) is None


def test_a_request_that_is_larger_than_the_limit_takes_all_of_it():
    """It could never be asked else; that the provider may refuse it, it says itself."""
    assert need_of(5000, LIMITS) == Amount(1, 1000, 1)
    assert need_of(5000, Limits(answers=3)) == Amount(0, 0, 1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(0, 3),
            st.integers(0, 400),
            st.integers(0, 6),
            st.integers(0, 20_000),
        ),
        max_size=60,
    )
)
def test_no_minute_ever_sees_more_than_the_limits(steps):
    """Whatever replicas wish, and whenever: the provider would refuse what is beyond."""
    load, now_ms, history = Load(), NOW_MS, []
    for replica, requests, tokens, many, later in steps:
        now_ms += later
        need = Amount(requests, tokens)
        want = Amount(requests * many, tokens * many)
        if found := granted(load, replica=replica, need=need, want=want, now_ms=now_ms):
            load, given = found
            history.append((now_ms, given))

    for end, _ in history:
        minute = [given for at, given in history if end - WINDOW_MS < at <= end]
        assert sum(one.requests for one in minute) <= LIMITS.requests
        assert sum(one.tokens for one in minute) <= LIMITS.tokens
