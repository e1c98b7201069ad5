"""The failure table of the architecture, row by row (kills are in test_kills.py)."""

import asyncio
import time

import httpx
import pytest
from queqiao_common import bus as bus_module
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

from tests.integration.asking import insist


async def answered(system, account, user, text, within=60.0):
    async def there():
        return next((one for one in await system.replies(account, user) if text in one), None)

    return await eventually(there, within=within)


async def test_ingress_says_503_when_the_broker_is_away_and_the_retry_is_answered(
    own_broker, tmp_path
):
    """So WeChat retries, and nothing that was acknowledged is lost."""
    async with running(tmp_path, broker_url=own_broker.url) as system:
        await system.say("auto", "t1", "先聊一句")
        await answered(system, "auto", "t1", "先聊一句")
        await asyncio.to_thread(own_broker.kill)
        await system.say("auto", "t1", "断线时问的")

        async def refused():
            pushes = await system.control("GET", "/pushes", params={"account": "auto"})
            return any(
                delivery["status"] == 503 for push in pushes for delivery in push["deliveries"]
            )

        await eventually(refused, within=60.0)
        await asyncio.to_thread(own_broker.start)

        await insist(system, "auto", "t1", "恢复后问的")


@pytest.mark.parametrize(
    "directive",
    ["status=500", "status=429", "garbage", "half", "empty", "html", "disconnect", "bad_utf8"],
)
async def test_a_model_that_fails_is_apologised_for(system, directive):
    """No second model on this route: the user still hears something."""
    user = f"m-{directive}"
    await system.say("auto", user, f"问题[{directive}]")

    await answered(system, "auto", user, "没能答上来", within=60.0)


async def test_the_next_model_of_the_route_answers_for_a_dead_one(own_broker, tmp_path):
    with_second = Options(
        models=({"id": "second", "base_url": "http://127.0.0.1:1/v1", "model": "unused"},),
        settings={"routes": {"default": ["second", "main"]}},
    )
    async with running(tmp_path, broker_url=own_broker.url, options=with_second) as system:
        await system.say("auto", "f1", "还有人吗")

        await answered(system, "auto", "f1", "还有人吗")


async def test_a_model_that_never_answers_is_given_up_at_the_deadline(own_broker, tmp_path):
    options = Options(settings={"context": {"turn_timeout": 15.0}})
    async with running(tmp_path, broker_url=own_broker.url, options=options) as system:
        await system.say("active", "h1", "沉默[hang]")

        await answered(system, "active", "h1", "没能答上来", within=60.0)

        await system.say("active", "h1", "还在吗")
        await answered(system, "active", "h1", "还在吗")


async def test_an_expired_token_is_renewed_and_the_reply_arrives(system):
    await system.say("active", "w1", "先来一句")
    await answered(system, "active", "w1", "先来一句")
    await system.control(
        "PUT",
        "/faults",
        json=[
            {
                "kind": "errcode",
                "account": "active",
                "errcode": 40001,
                "count": 1,
                "path": "/cgi-bin/message/custom/send",
            }
        ],
    )

    await system.say("active", "w1", "令牌过期了吗")

    await answered(system, "active", "w1", "令牌过期了吗")


async def test_a_user_who_left_is_not_retried(system):
    """45015: recorded as failed, and the next question of the others goes on."""
    await system.control(
        "PUT",
        "/faults",
        json=[
            {
                "kind": "errcode",
                "account": "active",
                "errcode": 45015,
                "count": 1,
                "path": "/cgi-bin/message/custom/send",
            }
        ],
    )
    await system.say("active", "w2", "走了")

    async def is_refused():
        [fault] = await system.control("GET", "/faults")
        return fault["fired"] == 1

    await eventually(is_refused, within=60.0)
    await system.say("active", "w2", "又来了")

    await answered(system, "active", "w2", "又来了")


async def test_an_event_nobody_can_decode_goes_to_the_dead_letters(system, system_broker):
    bus = await bus_module.connect(Nats(url=system_broker.url), "test")
    try:
        await bus.publish("reply.draft.auto", b'{"event": "nonsense"}', event_id="poison-1")

        async def buried():
            answer = await bus.api("STREAM.INFO.DEAD", {"subjects_filter": "dead.reply.draft.>"})
            return b"dead.reply.draft.auto" in answer

        await eventually(buried)
    finally:
        await bus.close()
    await system.say("auto", "p1", "照常吗")
    await answered(system, "auto", "p1", "照常吗")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/wechat/nobody?signature=x&timestamp=1&nonce=2", 404),
        ("/wechat/auto?signature=x&timestamp=1&nonce=2", 403),
        ("/wechat/active?signature=x&timestamp=1&nonce=2", 403),
    ],
)
async def test_a_stranger_is_refused_with_an_empty_body(system, path, status):
    port = system.ports.services["ingress"][0]
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"http://127.0.0.1:{port}{path}", content=b"<xml></xml>")

    assert (answer.status_code, answer.content) == (status, b"")


async def test_a_wrong_configuration_stops_a_service_with_every_problem(tmp_path):
    config = tmp_path / "queqiao.toml"
    config.write_text('[context]\nmax_messages = "ten"\n[natz]\nurl = ""\n')
    from queqiao_testbed.processes import Child

    child = Child(
        "context",
        ["-m", "queqiao_context"],
        log=tmp_path / "log",
        variables={"QUEQIAO_CONFIG": str(config)},
    )
    child.start()

    assert await asyncio.to_thread(child.wait) == 2
    text = child.log.read_text()
    assert "context.max_messages: expected `int`, got `str`" in text
    assert "natz: unknown key (did you mean 'nats'?)" in text
    assert "Traceback" not in text


async def test_503_comes_within_a_second(own_broker, tmp_path):
    """The promise is to WeChat, which waits five: here only that it does not hang."""
    async with running(tmp_path, broker_url=own_broker.url) as system:
        await asyncio.to_thread(own_broker.kill)
        began = time.monotonic()
        await system.say("active", "s1", "在吗")

        async def refused():
            pushes = await system.control("GET", "/pushes", params={"account": "active"})
            return [
                delivery["ms"]
                for push in pushes
                for delivery in push["deliveries"]
                if delivery["status"] == 503
            ]

        await eventually(refused)
        assert time.monotonic() >= began
        await asyncio.to_thread(own_broker.start)
