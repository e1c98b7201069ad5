"""The control API: acting, reading, staging."""

import pytest
from queqiao_simulator.answers import parse


async def refusal(stage, method, path, **options):
    response = await stage.http.request(method, f"/control{path}", **options)
    return response.status_code, response.json()["error"]


async def test_a_message_of_any_kind_is_pushed_with_its_fields(stage):
    await stage.say(kind="location", Label="西湖边", bizmsgmenuid="101")
    [entry] = await stage.settled()
    fields = stage.bot.received[0].fields

    assert entry["text"] == "[位置] 西湖边"
    assert fields["MsgType"] == "location"
    assert (fields["Label"], fields["bizmsgmenuid"]) == ("西湖边", "101")
    assert fields["MsgId"] == entry["msgid"]


async def test_messages_may_come_in_bulk_and_with_given_ids(stage):
    bodies = [{"account": "main", "user": f"u{n}", "text": "x", "msgid": n + 1} for n in range(3)]

    answers = await stage.control("POST", "/messages", json=bodies)
    await stage.settled()

    assert [answer["msgid"] for answer in answers] == ["1", "2", "3"]
    assert len({answer["openid"] for answer in answers}) == 3
    assert {seen.fields["MsgId"] for seen in stage.bot.received} == {"1", "2", "3"}


async def test_a_user_is_the_same_by_name_and_by_openid(stage):
    said = await stage.say("一")
    await stage.say("二", user=said["openid"])

    assert [entry["text"] for entry in await stage.settled()] == ["一", "二"]


async def test_one_person_has_another_openid_with_each_account(stage):
    here, there = await stage.say(), await stage.say(account="paper")

    assert here["openid"] != there["openid"]


async def test_events_are_pushed_without_a_message_id(stage):
    body = {
        "account": "main",
        "user": "小鹊",
        "event": "SCAN",
        "event_key": "spring",
        "Ticket": "T",
    }
    await stage.control("POST", "/events", json=body)
    await stage.settled()
    fields = parse(stage.bot.received[0].body)

    assert fields["Event"] == "SCAN"
    assert (fields["EventKey"], fields["Ticket"]) == ("spring", "T")
    assert "MsgId" not in fields


async def test_following_and_leaving_are_remembered(stage):
    async def is_subscribed():
        where = {"account": "main", "user": "小鹊"}
        return (await stage.control("GET", "/conversation", params=where))["user"]["subscribed"]

    states = [await is_subscribed()]
    for event in ("subscribe", "unsubscribe"):
        body = {"account": "main", "user": "小鹊", "event": event}
        await stage.control("POST", "/events", json=body)
        states.append(await is_subscribed())

    assert states == [False, True, False]


async def test_a_callback_proves_itself(stage):
    [result] = await stage.control("POST", "/verify", json={"account": "main"})

    assert result["ok"]
    assert result["right"]["said"] == "echoed"
    assert result["wrong"]["said"].startswith("HTTP 403")


async def test_a_callback_that_is_not_there_does_not_prove_itself(stage):
    body = {"account": "main", "urls": ["http://127.0.0.1:9/"]}
    await stage.control("PUT", "/callbacks", json=body)

    [result] = await stage.control("POST", "/verify", json={"account": "main"})

    assert not result["ok"]


async def test_an_observation_is_noted_once_beside_its_message(stage):
    said = await stage.say()
    seen = {"via": "parked", "reasons": ["太慢"], "trace_id": "abc", "plan": {"parts": [1]}}

    by_id = await stage.control("POST", "/observations", json={"msgid": said["msgid"], **seen})
    by_user = await stage.control(
        "POST", "/observations", json={"account": "main", "user": "小鹊", **seen}
    )
    unknown = await stage.control("POST", "/observations", json={"msgid": "404", **seen})
    [entry] = await stage.settled()

    assert (by_id, by_user, unknown) == ({"noted": 1}, {"noted": 1}, {"noted": 0})
    [detail] = entry["detail"]
    assert (detail["via"], detail["trace_id"]) == ("parked", "abc")


async def test_reset_forgets_chats_faults_and_callbacks(stage):
    await stage.say()
    await stage.control("PUT", "/faults", json=[{"kind": "delay"}])
    await stage.control("PUT", "/callbacks", json={"account": "main", "urls": []})

    await stage.control("POST", "/reset")
    about = await stage.control("GET", "/about")

    assert await stage.transcript() == []
    assert await stage.control("GET", "/faults") == []
    assert about["accounts"][0]["callbacks"] == [stage.bot.url]


async def test_about_tells_no_secrets(stage):
    text = (await stage.http.get("/control/about")).text

    assert "bridge_token" not in text
    assert "abcdefghijklmnop" not in text


async def test_statistics_count_what_happened(stage):
    stage.bot.replies("好")
    await stage.say()
    await stage.settled()

    stats = await stage.control("GET", "/stats")

    assert stats["deliveries"] == {"reply": 1}
    assert stats["shown"] == {"passive": 1}
    assert stats["delivery_ms"]["max"] > 0


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "part"),
    [
        ("POST", "/messages", {"json": {"account": "nobody", "user": "u"}}, 404, "nobody"),
        ("POST", "/messages", {"json": {"account": "main"}}, 400, "user"),
        ("POST", "/messages", {"content": b"{"}, 400, "truncated"),
        ("POST", "/clock", {"json": {"advance": -1}}, 400, ">= 0"),
        ("GET", "/conversation", {"params": {"account": "main", "user": "x"}}, 404, "'x'"),
    ],
)
async def test_wrong_requests_are_told_what_is_wrong(stage, method, path, options, status, part):
    code, error = await refusal(stage, method, path, **options)

    assert code == status
    assert part in error
