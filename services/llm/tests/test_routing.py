import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.settings import Config, Media, Model
from queqiao_llm.completion import Reason
from queqiao_llm.pace import Times
from queqiao_llm.routing import (
    Ask,
    GiveUp,
    Speed,
    Tried,
    Wait,
    drawn,
    next_step,
    pause_before,
    routes_of,
)


def model(name, **settings):
    return Model(id=name, base_url="http://model/v1", model=name, **settings)


A, B = model("a"), model("b")


def step(route, *tried, left=30.0, opens_in=None, rests=None, speed=None, jitter=0.5):
    circuits = {one.id: 0.0 for one in route} | (opens_in or {})
    return next_step(
        route,
        tried,
        opens_in=circuits,
        rests=rests or {},
        speed=speed or Speed(),
        left=left,
        jitter=jitter,
    )


def first_of(route):
    """The first step where others could be asked too."""
    return Ask(route[0], is_patient=False, second=route[1])


def test_a_route_is_its_models_in_order_and_all_of_them_without_one():
    """Who configures one model should not have to configure a route."""
    config = Config(models=(A, B), routes={"fast": ("b",)})

    assert routes_of(config) == {"fast": (B,)}
    assert routes_of(Config(models=(A, B))) == {"default": (A, B)}


def test_a_model_that_hears_or_speaks_is_asked_no_question_by_default():
    speech = Media(transcribe="b", speak="b")

    assert routes_of(Config(models=(A, B), media=speech)) == {"default": (A,)}


def test_the_first_choice_is_asked_first():
    assert step((A, B)) == first_of((A, B))


def test_a_model_whose_circuit_is_open_is_passed_over():
    assert step((A, B), opens_in={"a": 9.0}) == Ask(B)


@pytest.mark.parametrize(
    "reason", [Reason.SERVER_ERROR, Reason.UNREACHABLE, Reason.RATE_LIMITED, Reason.EMPTY]
)
def test_a_quick_failure_is_repeated_on_the_same_model(reason):
    assert step((A, B), Tried("a", reason)) == Ask(A, pause=0.1875)


def test_a_model_has_so_many_repeats_and_no_more():
    failure = Tried("a", Reason.SERVER_ERROR)

    assert step((A, B), failure, failure) == Ask(B)
    assert step((model("a", retries=0), B), failure) == Ask(B)


def test_a_refusal_is_not_repeated():
    refused = Tried("a", Reason.REFUSED)

    assert step((A, B), refused) == Ask(B)
    assert step((A,), refused) == GiveUp("all models failed")


def test_a_model_that_was_slow_is_only_asked_again_when_no_other_is_left():
    """The user has waited ten seconds for it already."""
    slow = Tried("a", Reason.FIRST_TOKEN_TIMEOUT)

    assert step((A, B), slow) == Ask(B)
    assert isinstance(step((A,), slow), Ask)


def test_after_text_was_passed_on_another_model_begins_anew():
    broken = Tried("a", Reason.DISCONNECTED, spoke=True)

    assert step((A, B), broken) == Ask(B)


def test_the_wish_of_a_model_to_wait_is_honoured():
    limited = Tried("a", Reason.RATE_LIMITED, after=1.0)
    next_one = step((A, B), limited, jitter=0.0)

    assert next_one == Ask(A, pause=1.0)


def test_a_long_wait_is_only_waited_for_when_no_other_model_is_left():
    limited = Tried("a", Reason.RATE_LIMITED, after=20.0)

    assert step((A, B), limited) == Ask(B)
    assert step((A, B), limited, Tried("b", Reason.REFUSED), jitter=0.0) == Ask(A, pause=20.0)


def test_no_pause_is_longer_than_what_is_left():
    limited = Tried("a", Reason.RATE_LIMITED, after=20.0)

    assert step((A,), limited, left=10.0) == GiveUp("deadline")


def test_nothing_is_begun_after_the_deadline():
    assert step((A, B), left=0.0) == GiveUp("deadline")


def test_while_all_circuits_are_open_a_turn_waits_if_its_deadline_allows():
    """A short outage costs the user some seconds, not the answer."""
    circuits = {"a": 7.0, "b": 9.0}

    assert step((A, B), opens_in=circuits) == Wait(1.0)
    assert step((A, B), opens_in=circuits, left=5.0) == GiveUp("all circuits open")
    assert step((A, B), opens_in={"a": 0.25, "b": 9.0}) == Wait(0.25)


@given(st.integers(1, 20), st.floats(0, 1))
def test_pauses_grow_to_a_bound_and_never_vanish(runs, jitter):
    assert 0.1 < pause_before(runs, None, jitter) <= 8.0
    assert pause_before(runs, 3.0, jitter) >= 3.0


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(list(Reason))), max_size=12),
    st.floats(0, 60),
    st.floats(0, 60),
)
def test_every_turn_comes_to_an_end(failures, left, opens):
    """Each model runs at most once more than its retries, whatever happened in whatever order."""
    tried = tuple(Tried(name, reason) for name, reason in failures)
    decision = step((A, B), *tried, left=left, opens_in={"a": opens})

    if isinstance(decision, Ask):
        runs = sum(one.model == decision.model.id for one in tried)
        assert runs <= decision.model.retries
        assert decision.pause < left


def test_a_model_whose_keys_rest_is_passed_over_like_an_open_circuit():
    assert step((A, B), rests={"a": 9.0}) == Ask(B)
    assert step((A,), rests={"a": 0.5}) == Wait(0.5)


def test_a_repeat_waits_until_a_key_is_rested():
    limited = Tried("a", Reason.RATE_LIMITED)

    assert step((A,), limited, rests={"a": 4.0}) == Ask(A, pause=4.0)


def test_a_model_that_would_be_late_is_passed_over_for_this_turn():
    speed = Speed({"a": Times(piece=8.0, whole=9.0), "b": Times(piece=1.0, whole=2.0)}, window=4.0)

    assert step((A, B), speed=speed) == Ask(B, is_patient=False, late=("a",))


def test_a_model_whose_limits_are_used_up_gives_way_and_is_asked_again_in_the_end():
    busy = Tried("a", Reason.BUSY)

    assert step((A, B), busy) == Ask(B)
    assert isinstance(step((A, B), busy, Tried("b", Reason.REFUSED)), Ask)


def test_neighbours_with_weights_take_turns_in_proportion():
    heavy, light, last = model("h", weight=3.0), model("l", weight=1.0), model("z")
    chance = random.Random(7).random
    firsts = Counter(drawn((heavy, light, last), chance)[0].id for _ in range(4000))

    assert firsts["h"] / firsts["l"] == pytest.approx(3.0, rel=0.15)
    assert firsts["z"] == 0


def test_models_without_weights_stay_in_their_places():
    light, never = model("l", weight=1.0), model("n", weight=0.0)

    assert drawn((A, B), lambda: 0.5) == (A, B)
    assert drawn((A, never, light, B), lambda: 0.5) == (A, light, never, B)
