"""A schedule follows from its seed alone, and never strikes the same thing twice at once."""

from hypothesis import given, settings
from hypothesis import strategies as st
from queqiao_testbed.schedule import AT_ONCE, Kind, draw, parts, service_of

KINDS = {
    "kill": Kind(
        targets=("llm-0", "llm-1", "egress-0", "egress-1"), shortest=0.0, longest=2.0, rest=6.0
    ),
    "restart": Kind(targets=("llm", "egress"), shortest=2.0, longest=4.0),
    "broker": Kind(targets=("broker",), shortest=1.0, longest=6.0),
}
seeds = st.integers(0, 1 << 40)


@settings(deadline=None)  # how long a draw takes on a busy machine is no defect
@given(seed=seeds, count=st.integers(0, 30))
def test_a_seed_repeats_its_schedule(seed, count):
    """Else a failure could not be looked at again."""
    first = draw(KINDS, seed=seed, count=count, seconds=60.0)

    assert first == draw(KINDS, seed=seed, count=count, seconds=60.0)
    assert len(first) == count


@settings(deadline=None)
@given(seed=seeds)
def test_nothing_is_struck_by_two_faults_at_once(seed):
    plan = draw(KINDS, seed=seed, count=20, seconds=60.0)

    for number, one in enumerate(plan):
        beside = [other for other in plan[:number] if other.end > one.at]
        assert all(not parts(one.target, 2) & parts(other.target, 2) for other in beside)
        assert len(beside) <= AT_ONCE


@settings(deadline=None)
@given(seed=seeds)
def test_what_was_killed_is_left_alone_until_it_has_started(seed):
    """Else the next fault strikes a process that is not there, and tests nothing."""
    plan = draw(KINDS, seed=seed, count=20, seconds=60.0)

    for number, one in enumerate(plan):
        before = [other for other in plan[:number] if other.end + other.rest > one.at]
        assert all(not parts(one.target, 2) & parts(other.target, 2) for other in before)


@settings(deadline=None)
@given(seed=seeds, rounds=st.integers(1, 5))
def test_every_kind_has_its_turn(seed, rounds):
    plan = draw(KINDS, seed=seed, count=rounds * len(KINDS), seconds=60.0)

    assert {kind: sum(one.kind == kind for one in plan) for kind in KINDS} == dict.fromkeys(
        KINDS, rounds
    )


@settings(deadline=None)
@given(seed=seeds, rounds=st.integers(1, 5))
def test_a_kind_goes_round_the_services(seed, rounds):
    """Else a run may kill everybody but the one whose death is looked into."""
    plan = draw({"kill": KINDS["kill"]}, seed=seed, count=2 * rounds, seconds=600.0)

    hit = [service_of(one.target) for one in plan]
    assert hit.count("llm") == hit.count("egress") == rounds
