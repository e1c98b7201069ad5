"""Each way of being degraded is entered and left by itself, and can be seen from outside."""

import asyncio
from functools import partial

import httpx
import pytest
from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
from queqiao_testbed.faults import SEND
from queqiao_testbed.ports import free_ports
from queqiao_testbed.system import running

pytestmark = pytest.mark.broker

APOLOGY = "没能答上来"
DEGRADED_NOTE = "现在暂时无法生成新的回答"


def asking(port):
    """A system that asks a moderation endpoint at this port; what cannot be asked is not said."""
    provider = {
        "base_url": f"http://127.0.0.1:{port}/v1",
        "on_failure": "block",
        "breaker_failures": 1,
        "breaker_pause": 1.0,
    }
    return Options(settings={"moderation": {"messages_per_minute": 0, "provider": provider}})


async def finds_nothing(reader, writer):
    """Answer one question as a moderation endpoint that has no objection."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
    await reader.readexactly(int(length.partition(b":")[2]))
    body = b'{"results": [{"flagged": false}]}'
    writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body))
    writer.write(body)
    await writer.drain()
    writer.close()


async def page(system, service, path="/readyz"):
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{system.ports.services[service][0]}{path}")
        return answer.status_code, answer.text


async def shows(system, service, mode, *, on=True):
    """Whether a service is ready, and shows the mode in both places, or in neither."""
    status, text = await page(system, service)
    _, metrics = await page(system, service, "/metrics")
    line = f"ready\ndegraded: {mode}\n" if on else "ready\n"
    value = f'queqiao_degraded{{mode="{mode}"}} {float(on)}'
    return (status, text) == (200, line) and value in metrics


async def answered(system, account, user, text, within=60):
    async def there():
        return any(text in one for one in await system.replies(account, user))

    await eventually(there, within=within)


async def test_a_dead_moderation_provider_leaves_the_word_to_its_fail_mode_until_it_is_back(
    own_broker, tmp_path
):
    [port] = free_ports(1)
    async with running(tmp_path, broker_url=own_broker.url, options=asking(port)) as system:
        await system.say("auto", "m1", "你好")
        await answered(system, "auto", "m1", "不方便聊")
        await eventually(partial(shows, system, "moderation", "moderation"), within=60)

        async with await asyncio.start_server(finds_nothing, "127.0.0.1", port):

            async def is_left():
                await system.say("auto", "m2", "还在吗")
                return await shows(system, "moderation", "moderation", on=False)

            await eventually(is_left, within=60, every=0.5)
            await answered(system, "auto", "m2", "还在吗")


BREAKABLE = Options(
    settings={
        "moderation": {"messages_per_minute": 0},
        "delivery": {"outage_after": 2},
        "context": {"turn_timeout": 20},
        "cache": {"near": 0.99},  # what is merely near is said only while no model can answer
    },
    model={"breaker_failures": 1, "breaker_pause": 8.0, "retries": 0},
)


async def test_a_dead_model_and_a_dead_api_are_shown_until_they_are_back(own_broker, tmp_path):
    async with running(tmp_path, broker_url=own_broker.url, options=BREAKABLE) as system:
        await system.model("PUT", "/control", json={"fail": ["status=500"]})
        await system.say("active", "d1", "有人吗")
        await eventually(partial(shows, system, "llm", "model:default"), within=60)
        await system.model("PUT", "/control", json={})
        outage = {"kind": "errcode", "path": SEND, "errcode": -1}
        await system.control("PUT", "/faults", json=[outage])
        await system.say("active", "d2", "还有人吗")
        await eventually(partial(shows, system, "llm", "model:default", on=False), within=60)
        await eventually(partial(shows, system, "egress", "wechat:active"), within=60)

        await system.control("PUT", "/faults", json=[])
        await answered(system, "active", "d2", "还有人吗")
        await eventually(partial(shows, system, "egress", "wechat:active", on=False), within=60)


async def test_while_the_model_is_down_what_is_known_is_said_and_else_the_apology(
    own_broker, tmp_path
):
    """First the answer to a near question, marked as such; only then the apology."""
    async with running(tmp_path, broker_url=own_broker.url, options=BREAKABLE) as system:
        known = "你们店周末几点开门营业"
        await system.say("active", "c1", known)
        await answered(system, "active", "c1", known)
        await system.model("PUT", "/control", json={"fail": ["status=500"]})

        await system.say("active", "c2", "月亮离地球有多远")
        await answered(system, "active", "c2", APOLOGY)
        await system.say("active", "c3", "请问你们店周末大概几点开门")
        await answered(system, "active", "c3", known)
        assert await shows(system, "llm", "model:default")
        [said] = await system.replies("active", "c3")
        await system.model("PUT", "/control", json={})

        async def is_back():
            await system.say("active", "c4", "月亮离地球有多远")
            return await shows(system, "llm", "model:default", on=False)

        await eventually(is_back, within=60, every=0.5)
        await answered(system, "active", "c4", "月亮离地球有多远")

    assert DEGRADED_NOTE in said
