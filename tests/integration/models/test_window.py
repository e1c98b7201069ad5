"""A user whose request is still open is answered by a model that can use it."""

import asyncio

from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

SLOW = {"id": "slow", "model": "slow"}
OPTIONS = Options(
    models=(SLOW,),
    passive_window=4.5,
    settings={"routes": {"default": ["slow", "main"]}, "cache": {"enabled": False}},
)


async def told(system, account, user, text):
    async def there():
        return any(text in one for one in await system.replies(account, user))

    return await eventually(there, within=60.0)


async def test_a_model_that_was_late_gives_way_while_a_request_is_open(own_broker, tmp_path):
    """Where no request waits, the first choice of the route still answers: it is the better one."""
    async with running(tmp_path, broker_url=own_broker.url, options=OPTIONS) as system:
        await system.model("PUT", "/control", json={"latency": 7.0, "only_model": "slow"})
        users = [f"early-{number}" for number in range(4)]
        await asyncio.gather(*(system.say("active", one, f"{one}的问题") for one in users))
        await asyncio.gather(*(told(system, "active", one, f"{one}的问题") for one in users))
        assert (await system.model("GET", "/control/calls"))["models"] == {"slow": 4}

        await system.say("auto", "hasty", "急问")
        await told(system, "auto", "hasty", "急问")
        assert (await system.model("GET", "/control/calls"))["models"]["fake"] == 1

        await system.say("active", "patient", "慢慢来")
        await told(system, "active", "patient", "慢慢来")
        assert (await system.model("GET", "/control/calls"))["models"] == {"slow": 5, "fake": 1}
