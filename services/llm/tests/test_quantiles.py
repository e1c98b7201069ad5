import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_llm.quantiles import Quantiles

SECONDS = st.floats(0.001, 500.0)
LISTS = st.lists(SECONDS, min_size=1, max_size=200)
SHARES = st.sampled_from([0.0, 0.05, 0.5, 0.9, 0.95, 1.0])


def exact(values, weights, q):
    """The smallest value with a share `q` of the weight at or below it."""
    beneath, total = 0.0, math.fsum(weights)
    for value, weight in sorted(zip(values, weights, strict=True)):
        beneath += weight
        if beneath >= q * total * (1 - 1e-9):
            return value
    raise AssertionError


def is_near(found, values, q, weights):
    """Within a class of the exact one (or of one that floats cannot tell from it)."""
    near = [exact(values, weights, max(0.0, min(1.0, q + d))) for d in (-1e-6, 0.0, 1e-6)]
    return any(value / 1.051 <= found <= value * 1.051 for value in near)


@given(LISTS, SHARES)
def test_quantiles_are_those_of_the_list_within_five_percent(values, q):
    seen = Quantiles(half_life=60.0)
    for value in values:
        seen.add(value, now=7.0)

    assert is_near(seen.at(q), values, q, [1.0] * len(values))
    assert seen.weight(now=7.0) == pytest.approx(len(values))


@given(st.lists(st.tuples(SECONDS, st.floats(0.0, 500.0)), min_size=1, max_size=100), SHARES)
def test_older_observations_weigh_less_by_half_for_each_half_life(observed, q):
    seen, now = Quantiles(half_life=60.0), 1000.0
    ages = sorted((age for _, age in observed), reverse=True)
    values = [value for value, _ in observed]
    for value, age in zip(values, ages, strict=True):
        seen.add(value, now=now - age)
    weights = [0.5 ** (age / 60.0) for age in ages]

    assert is_near(seen.at(q), values, q, weights)
    assert seen.weight(now) == pytest.approx(math.fsum(weights))


def test_nothing_observed_has_no_quantile():
    seen = Quantiles(half_life=60.0)

    assert seen.at(0.5) is None
    assert seen.weight(now=1e9) == 0.0


def test_what_is_long_past_is_outweighed_by_one_new_observation():
    seen = Quantiles(half_life=60.0)
    for _ in range(1000):
        seen.add(30.0, now=0.0)

    seen.add(1.0, now=3600.0)

    assert seen.at(0.95) == pytest.approx(1.0, rel=0.051)


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=30))
def test_years_without_a_restart_overflow_nothing(gaps):
    seen, now = Quantiles(half_life=1.0), 0.0
    for gap in gaps:
        now += gap
        seen.add(2.0, now=now)

    assert seen.at(0.5) == pytest.approx(2.0, rel=0.051)
    assert 1.0 <= seen.weight(now) <= len(gaps)
