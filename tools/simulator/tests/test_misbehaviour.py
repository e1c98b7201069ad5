"""Every fault of a push, asked for by its name, as the bot meets it (protocol reference 13.8)."""

import pytest
from fastapi import Response
from queqiao_simulator.faults import API_KINDS, PUSH_KINDS


async def with_fault(stage, kind, text="你好", account="main", **rule):
    await stage.driver.misbehave({"kind": kind, "count": 1, **rule})
    await stage.say(text, account=account)
    await stage.settled(account=account)
    return stage.bot.received


@pytest.mark.parametrize("kind", ["slow_body", "split_body", "chunked_body"])
async def test_a_body_may_come_in_pieces_and_is_whole_all_the_same(stage, kind):
    stage.bot.replies("收到")
    [push] = await with_fault(stage, kind, seconds=0.01)

    assert push.fields["Content"] == "你好"
    assert (await stage.transcript())[-1]["text"] == "收到"


async def test_a_slow_body_counts_against_the_five_seconds(stage_with):
    async with stage_with(answer_timeout=0.4) as stage:
        await with_fault(stage, "slow_body", seconds=30)
        [push] = await stage.pushes()

    assert {one["outcome"] for one in push["deliveries"]} == {"timeout"}


async def test_a_burst_is_many_messages(stage):
    received = await with_fault(stage, "burst", times=3)

    assert len({push.fields["MsgId"] for push in received}) == 4


async def test_two_events_may_share_a_second(stage):
    await stage.driver.misbehave({"kind": "event_collision", "count": 1})
    await stage.driver.happen("main", "小鹊", "CLICK", event_key="HELP")
    await stage.settled()
    both = [push.fields for push in stage.bot.received]

    assert {one["Event"] for one in both} == {"CLICK", "VIEW"}
    assert len({(one["FromUserName"], one["CreateTime"]) for one in both}) == 1


async def test_a_message_may_overtake_another(stage):
    await stage.driver.misbehave({"kind": "out_of_order", "count": 1, "seconds": 30})
    await stage.say("一")
    await stage.say("二")
    await stage.settled()

    assert [push.fields["Content"] for push in stage.bot.received] == ["二", "一"]


async def test_a_held_message_comes_even_if_nothing_overtakes_it(stage):
    [push] = await with_fault(stage, "out_of_order", seconds=0.01)

    assert push.fields["Content"] == "你好"


async def test_an_old_key_may_still_be_in_use(stage):
    [push] = await with_fault(stage, "old_key", account="safe")

    assert push.secret["Content"] == "你好"


async def test_strange_fields_may_come_along(stage):
    [push] = await with_fault(stage, "unknown_fields")

    assert push.fields["Nested"] == {"Deep": {"Deeper": "1"}}


async def test_an_answer_may_be_labelled_as_text(stage):
    await stage.driver.misbehave({"kind": "text_plain", "count": 1})
    client = {"grant_type": "client_credential", "appid": "wx_main", "secret": "s"}

    answer = await stage.http.get("/cgi-bin/token", params=client)

    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.json()["access_token"]


async def test_all_names_are_told(stage):
    kinds = await stage.control("GET", "/fault-kinds")

    assert set(kinds["calls"]) == API_KINDS
    assert set(kinds["pushes"]) == PUSH_KINDS


@pytest.mark.parametrize("kind", sorted(PUSH_KINDS))
async def test_every_fault_ends(stage, kind):
    await with_fault(stage, kind, seconds=0.01, times=1)
    pushes = await stage.pushes()

    assert pushes[0]["fault"] == kind
    assert all(push["result"] != "pending" for push in pushes)


async def test_rules_may_be_put_as_toml(stage):
    body = '[[faults]]\nkind = "burst"\n'

    [rule] = await stage.control("PUT", "/faults", content=body)

    assert (rule["kind"], rule["times"]) == ("burst", 5)


async def test_nonces_may_be_reused(stage_with):
    """Whether the platform does is not documented: nobody may deduplicate by nonce."""
    async with stage_with(reuse_nonce=True) as stage:
        answers = [Response(status_code=500), Response("success")]

        async def script(_):
            return answers.pop(0)

        stage.bot.script = script
        await stage.say()
        await stage.settled()

        assert len({push.query["nonce"] for push in stage.bot.received}) == 1


async def test_the_owner_is_alarmed(stage):
    async def script(_):
        return Response("<html>")

    stage.bot.script = script
    await stage.say()
    await stage.settled()
    [alarm] = await stage.control("GET", "/alarms")

    assert (alarm["account"], alarm["kind"]) == ("main", "回应失败")


async def test_suspended_pushes_are_said_to_be(stage_with):
    async with stage_with(mark_fail=1, deliveries=1) as stage:

        async def script(_):
            return Response(status_code=500)

        stage.bot.script = script
        await stage.say()
        await stage.settled()
        accounts = await stage.control("GET", "/accounts")
        await stage.say()
        await stage.settled()
        alarms = await stage.control("GET", "/alarms")

        assert {one["id"]: one["suspended"] for one in accounts}["main"]
        assert alarms[-1]["kind"] == "MarkFail"
