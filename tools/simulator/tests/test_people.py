"""People who take over (protocol reference 3.2, 4)."""

import pytest
from fastapi import Response

SESSION = "/customservice/kfsession"


@pytest.fixture
def hands_over(stage, passive_reply):
    """A bot that hands everything over, to the agent it is told."""

    def to(agent=""):
        async def script(push):
            if push.fields["MsgType"] == "event":
                return Response("success")
            reply = passive_reply(push.fields, "", MsgType="transfer_customer_service")
            target = f"<TransInfo><KfAccount>{agent}</KfAccount></TransInfo></xml>"
            return Response(reply.decode().removesuffix("</xml>") + (target if agent else "</xml>"))

        stage.bot.script = script

    return to


async def events(stage):
    return [
        (push.fields["Event"], push.fields.get("KfAccount"))
        for push in stage.bot.received
        if push.fields["MsgType"] == "event"
    ]


async def test_a_person_takes_over_answers_and_leaves(stage, hands_over):
    hands_over("kf01@demo")
    await stage.say("人工")
    await stage.settled()
    await stage.say("在吗")
    await stage.driver.agent("main", "小鹊", "say", text="在的")
    await stage.driver.agent("main", "小鹊", "close")
    await stage.settled()
    hands_over()
    texts = [(entry["text"], entry["via"]) for entry in await stage.transcript()]
    pushed = [push.fields.get("Content") for push in stage.bot.received]

    assert texts == [
        ("人工", None),
        ("[转人工客服]", "passive"),
        ("您好，我是小王", "agent"),
        ("在吗", None),
        ("在的", "agent"),
    ]
    assert "在吗" not in pushed
    assert await events(stage) == [
        ("kf_create_session", "kf01@demo"),
        ("kf_close_session", "kf01@demo"),
    ]


async def test_a_person_who_is_silent_for_half_an_hour_has_left(stage, hands_over):
    hands_over()
    await stage.say("人工")
    await stage.settled()
    await stage.driver.advance(1801)
    stage.bot.received.clear()
    await stage.say("还在吗")
    await stage.settled()

    contents = [push.fields.get("Content") for push in stage.bot.received]
    assert "还在吗" in contents
    assert ("kf_close_session", "kf01@demo") in await events(stage)


async def test_a_session_can_be_handed_on(stage, hands_over):
    hands_over()
    await stage.say("人工")
    await stage.settled()
    state = await stage.driver.agent("main", "小鹊", "switch", agent="kf02@demo")
    await stage.settled()
    switched = stage.bot.received[-1].fields

    assert state["agent"] == "kf02@demo"
    assert (switched["FromKfAccount"], switched["ToKfAccount"]) == ("kf01@demo", "kf02@demo")


async def test_without_people_the_user_is_told_so(stage, passive_reply):
    async def script(push):
        return Response(passive_reply(push.fields, "", MsgType="transfer_customer_service"))

    stage.bot.script = script
    await stage.say("人工", account="paper")
    entries = await stage.settled(account="paper")

    assert entries[-1]["text"] == "暂时没有人工客服在线"


async def test_sessions_are_managed_by_the_api(stage):
    said, token = await stage.say(), await stage.token()
    openid = said["openid"]
    named = {"openid": openid, "kf_account": "kf01@demo"}

    codes = [
        (await stage.api(f"{SESSION}/create", token, named))["errcode"],
        (await stage.api(f"{SESSION}/create", token, named | {"kf_account": "kf02@demo"}))[
            "errcode"
        ],
        (await stage.api(f"{SESSION}/create", token, named | {"kf_account": "x"}))["errcode"],
    ]
    known = await stage.api(f"{SESSION}/getsession", token, openid=openid)
    listed = await stage.api(f"{SESSION}/getsessionlist", token, kf_account="kf01@demo")
    online = await stage.api("/cgi-bin/customservice/getonlinekflist", token)
    closed = await stage.api(f"{SESSION}/close", token, named)
    again = await stage.api(f"{SESSION}/close", token, named)
    people = await stage.api("/cgi-bin/customservice/getkflist", token)
    waiting = await stage.api(f"{SESSION}/getwaitcase", token)

    assert codes == [0, 65414, 65401]
    assert known["kf_account"] == "kf01@demo"
    assert [one["openid"] for one in listed["sessionlist"]] == [openid]
    assert online["kf_online_list"][0]["accepted_case"] == 1
    assert (closed["errcode"], again["errcode"]) == (0, 65413)
    assert [one["kf_account"] for one in people["kf_list"]] == ["kf01@demo", "kf02@demo"]
    assert waiting["count"] == 0


async def test_nobody_answers_without_a_session(stage):
    await stage.say()
    body = {"account": "main", "user": "小鹊", "act": "say", "text": "x"}

    answer = await stage.http.post("/control/agents", json=body)

    assert answer.status_code == 400
    assert "65413" in answer.json()["error"]
