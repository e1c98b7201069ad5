"""Each way of being degraded is entered and left by itself, and can be seen from outside."""

import httpx
import pytest
from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
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
