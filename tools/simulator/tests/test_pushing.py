"""Deliveries over real sockets, with shortened timeouts."""

import asyncio

from fastapi import Response
from queqiao_common.testing import eventually


async def never(_):
    await asyncio.Event().wait()


def in_turn(*answers):
    """A script that gives these answers one after the other."""
    remaining = list(answers)

    async def script(push):
        answer = remaining.pop(0)
        return answer if isinstance(answer, Response) else await answer(push)

    return script


async def test_a_passive_reply_is_shown_once(stage):
    stage.bot.replies("收到")

    said = await stage.say("明天天气?")
    question, answer = await stage.settled()

    assert (question["who"], question["text"]) == ("user", "明天天气?")
    assert question["msgid"] == said["msgid"]
    assert (answer["who"], answer["text"], answer["via"]) == ("account", "收到", "passive")
    assert answer["in_reply_to"] == said["msgid"]


async def test_success_shows_nothing_and_is_not_repeated(stage):
    await stage.say()

    assert [entry["who"] for entry in await stage.settled()] == ["user"]
    assert len(stage.bot.received) == 1


async def test_three_deliveries_of_the_same_message_then_the_error_text(stage_with):
    """Bots deduplicate by MsgId and verify each signature: the body stays, the signature not."""
    async with stage_with(answer_timeout=0.4) as stage:
        stage.bot.script = never

        await stage.say()
        entries = await stage.settled()
        [push] = await stage.pushes()

    assert [delivery["outcome"] for delivery in push["deliveries"]] == ["timeout"] * 3
    assert len({seen.body for seen in stage.bot.received}) == 1
    assert len({seen.query["nonce"] for seen in stage.bot.received}) == 3
    assert len({seen.connection for seen in stage.bot.received}) == 3
    assert entries[-1]["who"] == "platform"
    assert entries[-1]["text"] == "该公众号提供的服务出现故障，请稍后再试"
    assert push["result"] == "failed"


async def test_a_reply_to_a_later_delivery_counts(stage_with, passive_reply):
    async with stage_with(answer_timeout=0.8) as stage:

        async def late(push):
            if len(stage.bot.received) == 1:
                await never(push)
            return Response(passive_reply(push.fields, "迟到"))

        stage.bot.script = late

        await stage.say()
        entries = await stage.settled()
        [push] = await stage.pushes()

    outcomes = [delivery["outcome"] for delivery in push["deliveries"]]
    assert [entry["text"] for entry in entries] == ["你好", "迟到"]
    assert (outcomes[0], outcomes[-1]) == ("timeout", "reply")


async def test_server_errors_are_repeated_like_timeouts(stage):
    stage.bot.script = in_turn(Response(status_code=503), Response("success"))

    await stage.say()
    await stage.settled()
    [push] = await stage.pushes()

    assert [delivery["outcome"] for delivery in push["deliveries"]] == ["server_error", "success"]
    assert push["result"] == "silent"


async def test_server_errors_may_be_final(stage_with):
    async with stage_with(retry_server_errors=False) as stage:
        stage.bot.script = in_turn(Response(status_code=503))

        await stage.say()

        assert (await stage.settled())[-1]["who"] == "platform"


async def test_a_closed_connection_is_repeated(stage):
    stage.bot.script = in_turn(Response(status_code=599), Response("success"))

    await stage.say()
    await stage.settled()
    [push] = await stage.pushes()

    assert [delivery["outcome"] for delivery in push["deliveries"]] == ["reset", "success"]


async def test_a_refused_connection_moves_on_to_the_next_replica(stage):
    urls = [stage.bot.url, "http://127.0.0.1:9/wechat"]
    await stage.control("PUT", "/callbacks", json={"account": "main", "urls": urls})

    await stage.say("一")
    await stage.say("二")
    await stage.settled()
    pushes = await stage.pushes()

    outcomes = [[d["outcome"] for d in push["deliveries"]] for push in pushes]
    assert outcomes == [["success"], ["refused", "success"]]


async def test_a_malformed_answer_shows_the_error_at_once(stage):
    stage.bot.script = in_turn(Response("<html>Error</html>"))

    await stage.say()
    entries = await stage.settled()
    [push] = await stage.pushes()

    assert entries[-1]["who"] == "platform"
    assert push["result"] == "invalid"
    assert "malformed XML" in push["deliveries"][0]["reason"]


async def test_a_duplicate_arrives_while_the_first_is_in_flight(stage, passive_reply):
    """Exactly one of the two answers may be shown."""
    both = asyncio.Event()

    async def script(push):
        if len(stage.bot.received) == 2:
            both.set()
        await both.wait()
        return Response(passive_reply(push.fields, "一次"))

    stage.bot.script = script
    await stage.control("PUT", "/faults", json=[{"kind": "duplicate", "count": 1}])

    await stage.say()
    entries = await stage.settled()

    assert len(stage.bot.received) == 2
    assert len({seen.body for seen in stage.bot.received}) == 1
    assert [entry["text"] for entry in entries] == ["你好", "一次"]


async def test_a_duplicate_that_hangs_does_not_hold_back_the_other_reply(stage, passive_reply):
    """The user sees it when it arrives, not when the slower replica has answered too."""
    release = asyncio.Event()

    async def script(push):
        if len(stage.bot.received) == 2:
            await release.wait()
        return Response(passive_reply(push.fields, "一次"))

    stage.bot.script = script
    await stage.control("PUT", "/faults", json=[{"kind": "duplicate", "count": 1}])

    await stage.say()

    async def shown():
        return [entry["text"] for entry in await stage.transcript()] == ["你好", "一次"]

    await eventually(shown)
    release.set()
    assert [entry["text"] for entry in await stage.settled()] == ["你好", "一次"]


async def test_a_reply_after_unfollowing_is_not_shown(stage):
    stage.bot.replies("再见")

    await stage.control(
        "POST", "/events", json={"account": "main", "user": "小鹊", "event": "unsubscribe"}
    )

    assert [entry["kind"] for entry in await stage.settled()] == ["event"]


async def test_pushes_are_suspended_after_too_many_failures(stage_with):
    async with stage_with(mark_fail=2, deliveries=2) as stage:
        stage.bot.script = in_turn(Response(status_code=500), Response(status_code=500))

        await stage.say("一")
        await stage.settled()
        await stage.say("二")
        await stage.settled()
        pushes = await stage.pushes()
        await stage.control("POST", "/clock", json={"advance": 61})
        stage.bot.replies("又好了")
        await stage.say("三")

        assert [push["result"] for push in pushes] == ["failed", "suspended"]
        assert (await stage.settled())[-1]["text"] == "又好了"
