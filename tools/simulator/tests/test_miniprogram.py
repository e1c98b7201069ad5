"""Mini Programs: pushes, what they may send, content security (protocol reference 3, 4, 6, 8)."""

import json

import pytest
from fastapi import Response
from queqiao_simulator.content_check import label_of
from queqiao_simulator.pictures import jpeg
from queqiao_simulator.rules import LABELS, Label

SEND = "/cgi-bin/message/custom/send"
TYPING = "/cgi-bin/message/custom/business/typing"


@pytest.fixture
async def chat(stage):
    said = await stage.say(account="mini")
    await stage.settled(account="mini")
    return said["openid"]


async def check(stage, chat, content="你好", **changes):
    body = {"version": 2, "openid": chat, "scene": 2, "content": content} | changes
    return await stage.api("/wxa/msg_sec_check", await stage.token("mini"), body)


async def test_messages_come_as_json(stage):
    said = await stage.say("在吗", account="mini")
    await stage.settled(account="mini")
    [push] = stage.bot.received
    fields = json.loads(push.body)

    assert (fields["MsgType"], fields["Content"]) == ("text", "在吗")
    assert fields["MsgId"] == int(said["msgid"])
    assert isinstance(fields["CreateTime"], int)


async def test_entering_the_chat_allows_two_messages_in_a_minute(stage):
    entered = await stage.driver.happen(
        "mini", "小鹊", "user_enter_tempsession", SessionFrom="home_button"
    )
    token = await stage.token("mini")

    codes = [(await stage.send(entered["openid"], "x", token))["errcode"] for _ in range(3)]
    await stage.driver.advance(61)
    late = await stage.send(entered["openid"], "x", token)

    assert json.loads(stage.bot.received[0].body)["SessionFrom"] == "home_button"
    assert codes == [0, 0, 45047]
    assert late["errcode"] == 45015


async def test_a_shared_page_is_pushed(stage):
    await stage.say(account="mini", kind="miniprogrampage", PagePath="pages/a?id=1")
    await stage.settled(account="mini")
    fields = json.loads(stage.bot.received[0].body)

    assert fields["PagePath"] == "pages/a?id=1"
    assert (await stage.http.get(fields["ThumbUrl"])).content[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    ("kind", "content", "errcode"),
    [
        ("link", {"title": "标题", "url": "https://a.example", "thumb_url": ""}, 0),
        ("link", {"title": "标题"}, 47001),
        ("miniprogrampage", {"title": "页", "pagepath": "p", "thumb_media_id": "no"}, 40007),
        ("news", {"articles": [{"title": "x"}]}, 40008),
        ("msgmenu", {"list": []}, 40008),
    ],
)
async def test_a_mini_program_sends_other_types(stage, chat, kind, content, errcode):
    body = {"touser": chat, "msgtype": kind, kind: content}

    assert (await stage.api(SEND, await stage.token("mini"), body))["errcode"] == errcode


async def test_a_card_is_shown_with_its_page(stage, chat):
    token = await stage.token("mini")
    files = {"media": ("a.jpg", jpeg("a"), "image/jpeg")}
    params = {"access_token": token, "type": "image"}
    kept = (await stage.http.post("/cgi-bin/media/upload", params=params, files=files)).json()
    card = {"title": "订单", "pagepath": "pages/o", "thumb_media_id": kept["media_id"]}
    body = {"touser": chat, "msgtype": "miniprogrampage", "miniprogrampage": card}

    await stage.api(SEND, token, body)
    entry = (await stage.transcript(account="mini"))[-1]

    assert entry["text"] == "[小程序] 订单"
    assert entry["content"]["card"] == {"title": "订单", "pagepath": "pages/o"}


async def test_typing_has_its_own_address(stage, chat):
    token = await stage.token("mini")
    body = {"touser": chat, "command": "Typing"}

    right = await stage.api(TYPING, token, body)
    wrong = await stage.api("/cgi-bin/message/custom/typing", token, body)

    assert (right["errcode"], wrong["errcode"]) == (0, 48001)


async def test_only_a_hand_over_can_be_answered(stage, passive_reply):
    async def script(push):
        fields = json.loads(push.body)
        kind = "transfer_customer_service" if fields.get("Content") == "人工" else "text"
        if fields["MsgType"] == "event":
            return Response("success")
        names = {"ToUserName": fields["FromUserName"], "FromUserName": fields["ToUserName"]}
        return Response(json.dumps({**names, "CreateTime": 1, "MsgType": kind, "Content": "好"}))

    stage.bot.script = script
    await stage.say("你好", account="mini")
    refused = await stage.settled(account="mini")
    await stage.say("人工", account="mini")
    entries = await stage.settled(account="mini")

    assert refused[-1]["kind"] == "error"
    assert [entry["text"] for entry in entries[-2:]] == ["[转人工客服]", "您好，我是小王"]


async def test_texts_are_labelled_by_keyword(stage, chat):
    normal, risky = await check(stage, chat), await check(stage, chat, "这是诈骗")

    assert normal["result"] == {"suggest": "pass", "label": 100}
    assert risky["result"] == {"suggest": "risky", "label": 20008}
    assert risky["detail"][0]["keyword"] == "诈骗"
    assert risky["trace_id"]


async def test_labels_can_be_scripted(stage, chat):
    await stage.control("PUT", "/labels", json=[{"keyword": "鹊", "suggest": "review"}])

    assert (await check(stage, chat, "喜鹊"))["result"] == {"suggest": "review", "label": 21000}
    assert (await check(stage, chat, "诈骗"))["result"]["label"] == 100


def test_the_worst_label_counts():
    labels = (Label(keyword="a", suggest="review"), Label(keyword="b", label=20001))

    assert label_of("ab", labels).label == 20001
    assert label_of("好", LABELS).suggest == "pass"


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"openid": "nobody"}, 40003),
        ({"scene": 9}, 40129),
        ({"version": 1}, 47001),
        ({"title": 1, "content": "长" * 2501}, 45002),
    ],
)
async def test_checks_are_checked(stage, chat, changes, errcode):
    assert (await check(stage, chat, **changes))["errcode"] == errcode


async def test_a_user_must_have_been_there_within_two_hours(stage, chat):
    await stage.driver.advance(2 * 3600 + 1)

    assert (await check(stage, chat))["errcode"] == 61010


async def test_an_openid_of_another_account_is_a_mismatch(stage, chat):
    other = (await stage.say())["openid"]

    assert (await check(stage, other))["errcode"] == 43104


async def test_the_minute_has_a_limit(stage, chat):
    codes = [(await check(stage, chat))["errcode"] for _ in range(51)]
    await stage.driver.advance(60)

    assert codes.count(44991) <= 1
    assert codes[:49] == [0] * 49
    assert (await check(stage, chat))["errcode"] == 0


async def test_official_accounts_may_not_check(stage):
    openid = (await stage.say())["openid"]
    body = {"version": 2, "openid": openid, "scene": 2, "content": "x"}

    assert (await stage.api("/wxa/msg_sec_check", await stage.token(), body))["errcode"] == 48001


async def check_medium(stage, openid, url, kind=2):
    body = {"version": 2, "openid": openid, "scene": 1, "media_url": url, "media_type": kind}
    return await stage.api("/wxa/media_check_async", await stage.token("mini"), body)


async def test_a_medium_is_judged_later_by_an_event(stage, chat):
    stage.bot.received.clear()
    asked = await check_medium(stage, chat, "https://cdn.example/色情.jpg")
    again = await check_medium(stage, chat, "https://cdn.example/色情.jpg")
    await stage.settled(account="mini")
    before = list(stage.bot.received)
    await stage.driver.advance(61)
    await stage.settled(account="mini")
    event = json.loads(stage.bot.received[0].body)

    assert (before, again["errcode"]) == ([], 87020)
    assert event["Event"] == "wxa_media_check"
    assert event["trace_id"] == asked["trace_id"]
    assert event["result"] == {"suggest": "risky", "label": 20002}
    assert event["FromUserName"] == "platform_user"


async def test_a_medium_that_is_not_there_fails_later(stage, chat):
    stage.bot.received.clear()
    await check_medium(stage, chat, f"{stage.url}/simulated/media/mini/gone")
    await stage.driver.advance(61)
    await stage.settled(account="mini")

    assert json.loads(stage.bot.received[0].body)["errcode"] == -1008


async def test_other_media_cannot_be_checked(stage, chat):
    assert (await check_medium(stage, chat, "https://cdn.example/x", 3))["errcode"] == 40004
