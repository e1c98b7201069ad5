import asyncio
from contextlib import AsyncExitStack

import pytest
from queqiao_common.settings import Model, Secret
from queqiao_common.testing import NOW_MS, MemoryDocuments
from queqiao_llm.access import Access
from queqiao_llm.completion import ModelFailed, Reason
from queqiao_llm.keys import Keys

LIMITED = ModelFailed(Reason.RATE_LIMITED, status=429, after=9.0)


class Clock:
    def __init__(self):
        self.now_ms = NOW_MS

    def wall(self):
        return self.now_ms

    def steady(self):
        return self.now_ms / 1000


def model(keys=1, **limits):
    secrets = tuple(Secret(f"key-{number}") for number in range(keys))
    return Model(id="main", base_url="http://model/v1", model="m", api_keys=secrets, **limits)


def access_to(one, clock):
    keys = Keys([one], clock.steady)
    return keys, Access([one], keys, MemoryDocuments(), replica="a", now_ms=clock.wall)


async def entered(access, one, within=0.0):
    async with access.to(one, tokens=10, within=within) as allowed:
        return allowed.place


async def test_each_key_has_the_limit_for_itself():
    """Two keys are two contracts with the provider."""
    one, clock = model(keys=2, requests_per_minute=1), Clock()
    _, access = access_to(one, clock)

    assert {await entered(access, one), await entered(access, one)} == {0, 1}
    with pytest.raises(ModelFailed) as error:
        await entered(access, one)
    assert error.value.reason is Reason.BUSY


async def test_who_waits_gets_in_when_somebody_leaves(monkeypatch):
    monkeypatch.setattr("queqiao_llm.access.RECHECK", 0.0)
    one, clock = model(concurrency=1), Clock()
    _, access = access_to(one, clock)
    async with AsyncExitStack() as inside:
        await inside.enter_async_context(access.to(one, tokens=10, within=0.0))
        waiting = asyncio.create_task(entered(access, one, within=30.0))
        await asyncio.sleep(0)
        assert not waiting.done()

    clock.now_ms += 1000
    async with asyncio.timeout(10):
        assert await waiting == 0


async def test_a_model_whose_keys_rest_for_longer_than_we_wait_is_given_up_at_once():
    one, clock = model(), Clock()
    keys, access = access_to(one, clock)
    keys.fail("main", 0, LIMITED)

    with pytest.raises(ModelFailed) as error:
        await entered(access, one, within=5.0)
    assert (error.value.reason, error.value.after) == (Reason.RATE_LIMITED, 9.0)


async def test_without_limits_nothing_is_asked_of_the_bucket():
    one, clock = model(), Clock()
    keys = Keys([one], clock.steady)
    access = Access([one], keys, None, replica="a", now_ms=clock.wall)

    assert await entered(access, one) == 0
    await access.tidy()
