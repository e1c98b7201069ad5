"""Too many turns wait for a model: new users are told so, and it passes by itself."""

import httpx
import pytest
from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

from tests.integration.conversation.watching import prompts, replies

pytestmark = pytest.mark.broker

OPTIONS = Options(
    settings={"moderation": {"messages_per_minute": 0}, "context": {"shed_backlog": 3}}
)
QUESTIONS = 4
"""As many as make it overloaded: so the last of them cannot be turned away yet."""
ON, OFF = "ready\ndegraded: overload\n", "ready\n"


async def readiness(system):
    async with httpx.AsyncClient() as http:
        port = system.ports.services["context"][0]
        metrics = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
        ready = (await http.get(f"http://127.0.0.1:{port}/readyz")).text
    is_on = 'queqiao_degraded{mode="overload"} 1.0' in metrics
    return ready if is_on == (ready == ON) else ""  # it changed between the two


async def test_new_users_are_turned_away_until_the_models_have_caught_up(own_broker, tmp_path):
    async with running(tmp_path, broker_url=own_broker.url, options=OPTIONS) as system:
        await system.say("active", "old", "你好")
        await replies(system, "active", "old")
        system.replica("llm").stop()
        for number in range(QUESTIONS):
            await system.say("active", f"o{number}", f"第{number}问")

        async def is_in(text):
            return await readiness(system) == text

        await eventually(lambda: is_in(ON), within=60)
        await system.say("active", "new", "有人吗")
        for _ in range(2):  # the cheapest to shed: both wait for the same answer
            await system.say("active", "old", "再问一句")
        assert (await replies(system, "active", "new")) == ["现在咨询的人有点多，请稍后再发一次。"]
        system.replica("llm").start()

        await eventually(lambda: is_in(OFF), within=60)
        for number in range(QUESTIONS):
            assert f"第{number}问" in (await replies(system, "active", f"o{number}"))[0]
        [_, again] = await replies(system, "active", "old", 2)
        assert "再问一句" in again
        [asked] = await prompts(system, "再问一句")
        await system.say("active", "old", "够了吗")
        [_, _, last] = await replies(system, "active", "old", 3)

    assert "够了吗" in last
    assert asked[-1] == "再问一句"
