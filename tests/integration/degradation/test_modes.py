"""Each way of being degraded is entered and left by itself, and can be seen from outside."""

from functools import partial

import httpx
import pytest
from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
from queqiao_testbed.faults import SEND
from queqiao_testbed.system import running

pytestmark = pytest.mark.broker

CLOSED = Options(
    settings={
        "moderation": {
            "messages_per_minute": 0,
            # Nobody listens there: what cannot be looked at is not said.
            "provider": {
                "base_url": "http://127.0.0.1:9/v1",
                "on_failure": "block",
                "breaker_failures": 1,
            },
        }
    }
)


async def page(system, service, path="/readyz"):
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{system.ports.services[service][0]}{path}")
        return answer.status_code, answer.text


async def test_a_dead_moderation_provider_leaves_the_word_to_its_fail_mode(own_broker, tmp_path):
    async with running(tmp_path, broker_url=own_broker.url, options=CLOSED) as system:
        await system.say("auto", "m1", "你好")

        async def refused():
            return any("不方便聊" in text for text in await system.replies("auto", "m1"))

        await eventually(refused, within=20)
        status, text = await page(system, "moderation")
        _, metrics = await page(system, "moderation", "/metrics")

    assert (status, text) == (200, "ready\ndegraded: moderation\n")
    assert 'queqiao_degraded{mode="moderation"} 1.0' in metrics


BREAKABLE = Options(
    settings={
        "moderation": {"messages_per_minute": 0},
        "delivery": {"outage_after": 2},
        "context": {"turn_timeout": 20},
    },
    model={"breaker_failures": 1, "breaker_pause": 1.0, "retries": 0},
)


async def says(system, service, line):
    return (await page(system, service))[1] == f"ready\n{line}"


async def test_a_dead_model_and_a_dead_api_are_shown_until_they_are_back(own_broker, tmp_path):
    async with running(tmp_path, broker_url=own_broker.url, options=BREAKABLE) as system:
        await system.model("PUT", "/control", json={"fail": ["status=500"]})
        await system.say("active", "d1", "有人吗")
        await eventually(partial(says, system, "llm", "degraded: model:default\n"), within=20)
        await system.model("PUT", "/control", json={})
        outage = {"kind": "errcode", "path": SEND, "errcode": -1}
        await system.control("PUT", "/faults", json=[outage])
        await system.say("active", "d2", "还有人吗")
        await eventually(partial(says, system, "llm", ""), within=20)
        await eventually(partial(says, system, "egress", "degraded: wechat:active\n"), within=30)

        await system.control("PUT", "/faults", json=[])

        async def answered():
            return any("还有人吗" in text for text in await system.replies("active", "d2"))

        await eventually(answered, within=40)
        await eventually(partial(says, system, "egress", ""), within=20)
