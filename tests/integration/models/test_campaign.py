"""A campaign sends everybody the same question at once: it costs one call of the model."""

import asyncio

import pytest
from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

USERS = 1000
AT_ONCE = 100
QUESTION = "怎么申请退款？"


@pytest.mark.slow
async def test_a_thousand_who_ask_the_same_at_once_cost_one_call(own_broker, tmp_path):
    options = Options(counts={"llm": 2})
    async with running(tmp_path, broker_url=own_broker.url, options=options) as system:
        await system.model("PUT", "/control", json={"latency": 2.0})
        slots = asyncio.Semaphore(AT_ONCE)

        async def ask(number):
            async with slots:
                await system.say("active", f"user-{number}", QUESTION)

        await asyncio.gather(*(ask(number) for number in range(USERS)))

        async def everybody():
            shown = await system.transcript("active")
            told = [one["user"] for one in shown if one["who"] == "account"]
            return told if len(told) >= USERS else None

        told = await eventually(everybody, within=120.0, every=1.0)
        assert len(told) == len(set(told)) == USERS
        calls = (await system.model("GET", "/control/calls"))["total"]
        # Who cannot ask the others within two seconds goes on alone, and says so.
        assert calls == 1 or "cache.unavailable" in system.logs()
