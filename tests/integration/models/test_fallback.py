"""A first model that is dead: the next one answers, and the first is tried again by itself."""

import time

import httpx
from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

FIRST = {"id": "first", "model": "first", "retries": 0, "first_token_timeout": 5.0}
BREAKER = {"breaker_failures": 2, "breaker_pause": 15.0}
OPTIONS = Options(
    models=(FIRST | BREAKER,),
    settings={
        "routes": {"default": ["first", "main"]},
        "cache": {"enabled": False},
        "moderation": {"messages_per_minute": 0},
    },
)


async def circuit(system) -> str:
    """The state of the first model's circuit."""
    async with httpx.AsyncClient() as http:
        [port] = system.ports.services["llm"]
        text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("queqiao_model_circuit{")]
    [now] = [line for line in lines if 'model="first"' in line and line.endswith(" 1.0")]
    return now.partition('state="')[2].partition('"')[0]


async def calls(system, model):
    return (await system.model("GET", "/control/calls"))["models"].get(model, 0)


async def answered(system, question, user="u1"):
    await system.say("active", user, question)

    async def there():
        return any(question in text for text in await system.replies("active", user))

    await eventually(there, within=60.0)


async def test_a_dead_first_model_costs_nobody_time_once_its_circuit_is_open(
    own_broker, tmp_path, record_property
):
    """And when it is back, its circuit closes without anybody's help."""
    async with running(tmp_path, broker_url=own_broker.url, options=OPTIONS) as system:
        await system.model("PUT", "/control", json={"fail": ["hang"], "only_model": "first"})
        for number in range(2):
            await answered(system, f"第{number}问，大家好吗")
        assert await circuit(system) == "open"
        asked = await calls(system, "first")
        began = time.monotonic()
        await answered(system, "断开以后还有人吗")
        record_property("seconds_with_open_circuit", round(time.monotonic() - began, 3))
        assert await calls(system, "first") == asked  # it was not even tried

        await system.model("PUT", "/control", json={})

        async def is_closed():
            await answered(system, f"现在好了吗，{time.monotonic_ns()}")
            return await circuit(system) == "closed"

        await eventually(is_closed, within=90.0, every=2.0)
        fallback = await calls(system, "fake")
        await answered(system, "恢复以后还有人吗")
        assert await calls(system, "fake") == fallback
