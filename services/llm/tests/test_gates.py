import asyncio

import pytest
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.testing import NOW_MS, MemoryDocuments
from queqiao_llm.gates import GRANT_MS, REFUSAL_MS, Gate
from queqiao_llm.loads import LEASE_MS, WINDOW_MS, Limits


class Clock:
    def __init__(self):
        self.now_ms = NOW_MS

    def __call__(self):
        return self.now_ms


class Bucket(MemoryDocuments):
    """Counts what it is asked to do, and lets others run first, as a broker does."""

    changes = 0
    is_away = False

    async def update(self, key, change):
        self.changes += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise BrokerUnavailable("gone fishing")
        return await super().update(key, change)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bucket():
    return Bucket()


def gate(bucket, clock, replica="a", **limits):
    return Gate(bucket, "main.0", Limits(**limits), replica=replica, now_ms=clock)


async def let_in(*gates, tokens=100):
    return [await one.enter(tokens) for one in gates]


async def test_replicas_share_one_limit(bucket, clock):
    a, b = gate(bucket, clock, "a", requests=3), gate(bucket, clock, "b", requests=3)

    assert await let_in(a, b, a, b) == [True, True, True, False]

    clock.now_ms += WINDOW_MS + 5000
    assert await let_in(b, a) == [True, True]


async def test_a_burst_costs_few_writes(bucket, clock):
    """A write is synced to disk on every broker: one for each question would be dear."""
    one = gate(bucket, clock, requests=1000)

    assert all(await asyncio.gather(*(one.enter(100) for _ in range(200))))
    assert bucket.changes <= 3


async def test_who_finds_nothing_free_does_not_ask_again_at_once(bucket, clock):
    one = gate(bucket, clock, requests=1)
    await one.enter(1)

    assert not any(await asyncio.gather(*(one.enter(1) for _ in range(50))))
    assert bucket.changes == 2

    clock.now_ms += REFUSAL_MS
    await one.enter(1)
    assert bucket.changes == 3


async def test_answers_at_once_are_limited_over_all_replicas(bucket, clock):
    a, b = gate(bucket, clock, "a", answers=2), gate(bucket, clock, "b", answers=2)
    assert await let_in(a, b, a) == [True, True, False]

    b.leave(estimated=100, used=100)
    await b.tidy()  # counted as lately used
    await b.tidy()
    clock.now_ms += REFUSAL_MS

    assert await let_in(a) == [True]


async def test_what_a_killed_replica_held_comes_back(bucket, clock):
    killed, other = gate(bucket, clock, "a", answers=1), gate(bucket, clock, "b", answers=1)
    assert await let_in(killed, other) == [True, False]

    clock.now_ms += LEASE_MS

    assert await let_in(other) == [True]


async def test_a_lease_in_use_is_renewed(bucket, clock):
    slow, other = gate(bucket, clock, "a", answers=1), gate(bucket, clock, "b", answers=1)
    await slow.enter(1)

    for _ in range(5):
        clock.now_ms += LEASE_MS // 2
        await slow.tidy()

    assert await let_in(other) == [False]


async def test_tokens_that_an_answer_did_not_take_are_given_back(bucket, clock):
    a, b = gate(bucket, clock, "a", tokens=1000), gate(bucket, clock, "b", tokens=1000)
    await a.enter(1000)
    assert await let_in(b) == [False]

    a.leave(estimated=1000, used=100)
    clock.now_ms += GRANT_MS
    await a.tidy()

    assert await let_in(b, tokens=800) == [True]


async def test_tokens_beyond_the_estimate_are_counted(bucket, clock):
    a, b = gate(bucket, clock, "a", tokens=1000), gate(bucket, clock, "b", tokens=1000)
    await a.enter(100)

    a.leave(estimated=100, used=950)
    clock.now_ms += GRANT_MS
    await a.tidy()

    assert await let_in(b) == [False]


async def test_an_idle_gate_writes_nothing(bucket, clock):
    one = gate(bucket, clock, requests=10, tokens=1000, answers=3)
    await one.enter(100)
    one.leave(estimated=100, used=100)
    for _ in range(3):
        clock.now_ms += GRANT_MS
        await one.tidy()
    writes = bucket.changes

    for _ in range(10):
        clock.now_ms += GRANT_MS
        await one.tidy()

    assert bucket.changes == writes


async def test_without_the_broker_everybody_is_let_in(bucket, clock):
    """The provider still says no by itself; an answer lost to caution nobody gets back."""
    bucket.is_away = True
    one = gate(bucket, clock, requests=1)

    assert await let_in(one, one) == [True, True]
