"""WeCom's own apps (protocol reference 10.1)."""

import pytest
from fastapi import Response
from queqiao_simulator.pictures import jpeg

SEND = "/cgi-bin/message/send"


@pytest.fixture
async def member(stage):
    await stage.say(account="app", user="zhangsan")
    await stage.settled("zhangsan", "app")
    return "zhangsan"


def text(content, touser="zhangsan", **more):
    return {
        "touser": touser, "msgtype": "text", "agentid": 1000002, "text": {"content": content},
        **more,
    }  # fmt: skip


async def shown(stage, user="zhangsan"):
    entries = await stage.transcript(user, "app")
    return [entry["text"] for entry in entries if entry["who"] == "account"]


async def test_the_address_is_verified_with_an_encrypted_echo(stage):
    [result] = await stage.control("POST", "/verify", json={"account": "app"})

    assert result["ok"]
    assert result["right"]["said"] == "echoed"


async def test_an_address_must_prove_itself_within_a_second(stage):
    stage.bot.silent = True
    [result] = await stage.control("POST", "/verify", json={"account": "app"})

    assert not result["ok"]
    assert result["right"]["said"] == "no answer within 3 s"


async def test_a_push_is_encrypted_for_the_company_and_names_the_agent(stage, member):
    [push] = stage.bot.received

    assert set(push.query) == {"msg_signature", "timestamp", "nonce"}
    assert {"ToUserName", "AgentID", "Encrypt"} == set(push.fields)
    assert push.secret["FromUserName"] == "zhangsan"
    assert push.secret["ToUserName"] == "ww_corp"
    assert push.secret["AgentID"] == "1000002"
    assert push.secret["Content"] == "你好"


async def test_a_voice_has_one_rate_here(stage):
    await stage.driver.voice("app", "lisi")
    await stage.settled("lisi", "app")
    [push] = stage.bot.received

    assert {"MediaId", "Format"} <= set(push.secret)
    assert not {"MediaId16K", "Recognition"} & set(push.secret)


async def test_a_passive_reply_is_encrypted(stage, secret_reply):
    async def script(push):
        return secret_reply(push, "收到")

    stage.bot.script = script
    await stage.say(account="app", user="lisi")

    assert (await stage.settled("lisi", "app"))[-1]["text"] == "收到"


async def test_a_reply_in_plain_text_is_refused_silently(stage):
    """A member sees no error; the administrator does."""

    async def script(_):
        return Response("<xml><MsgType>text</MsgType></xml>")

    stage.bot.script = script
    await stage.say(account="app", user="lisi")
    entries = await stage.settled("lisi", "app")
    [alarm] = await stage.control("GET", "/alarms", params={"account": "app"})

    assert [entry["who"] for entry in entries] == ["user"]
    assert (alarm["kind"], alarm["reason"]) == (
        "回应失败",
        "safe mode: the reply is not encrypted",
    )


async def test_whatever_is_not_200_is_repeated(stage):
    answers = [Response(status_code=404), Response("success")]

    async def script(_):
        return answers.pop(0)

    stage.bot.script = script
    await stage.say(account="app", user="lisi")
    await stage.settled("lisi", "app")
    [push] = await stage.pushes("lisi", "app")

    assert [one["outcome"] for one in push["deliveries"]] == ["server_error", "success"]


async def test_a_repeated_call_answers_the_same_token(stage):
    assert await stage.corp_token("app") == await stage.corp_token("app")


@pytest.mark.parametrize(
    ("corpid", "secret", "errcode"),
    [("ww_corp", "wrong", 40001), ("ww_other", "app", 40013), ("", "app", 41002)],
)
async def test_tokens_need_the_right_secret(stage, corpid, secret, errcode):
    params = {"corpid": corpid, "corpsecret": secret}

    assert (await stage.http.get("/cgi-bin/gettoken", params=params)).json()["errcode"] == errcode


async def test_a_long_text_is_cut_without_a_word(stage, member):
    answer = await stage.api(SEND, await stage.corp_token("app"), text("字" * 700))

    assert answer["errcode"] == 0
    assert await shown(stage) == ["字" * 682]


async def test_the_31st_message_of_a_minute_is_lost_without_a_word(stage, member):
    token = await stage.corp_token("app")
    answers = [await stage.api(SEND, token, text(str(n))) for n in range(31)]
    await stage.driver.advance(60)
    await stage.api(SEND, token, text("再来"))

    assert {answer["errcode"] for answer in answers} == {0}
    assert await shown(stage) == [*(str(n) for n in range(30)), "再来"]


async def test_unknown_members_are_named(stage, member):
    token = await stage.corp_token("app")
    some = await stage.api(SEND, token, text("x", "zhangsan|nobody"))
    none = await stage.api(SEND, token, text("x", "nobody"))

    assert (some["errcode"], some["invaliduser"]) == (0, "nobody")
    assert none["errcode"] == 81013


async def test_everybody_can_be_told(stage, member):
    await stage.api(SEND, await stage.corp_token("app"), text("全体", "@all"))

    assert await shown(stage, "小鹊") == ["全体"]


async def test_markdown_is_kept_as_it_is(stage, member):
    body = text("") | {"msgtype": "markdown", "markdown": {"content": "**粗**"}}
    await stage.api(SEND, await stage.corp_token("app"), body)
    entry = (await stage.transcript(member, "app"))[-1]

    assert (entry["kind"], entry["text"]) == ("markdown", "**粗**")


async def test_a_file_is_uploaded_and_sent(stage, member):
    token = await stage.corp_token("app")
    files = {"media": ("a.jpg", jpeg("a"), "image/jpeg")}
    params = {"access_token": token, "type": "image"}
    kept = (await stage.http.post("/cgi-bin/media/upload", params=params, files=files)).json()
    body = text("") | {"msgtype": "image", "image": {"media_id": kept["media_id"]}}

    answer = await stage.api(SEND, token, body)
    entry = (await stage.transcript(member, "app"))[-1]

    assert (kept["errcode"], answer["errcode"]) == (0, 0)
    assert entry["content"]["media"]["kind"] == "image"


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"agentid": 1}, 40056),
        ({"touser": ""}, 82001),
        ({"msgtype": "hologram"}, 40008),
        ({"text": {"content": ""}}, 44004),
        ({"msgtype": "image", "image": {"media_id": "nowhere"}}, 40007),
    ],
)
async def test_bad_messages_have_their_own_errcodes(stage, member, changes, errcode):
    body = text("x") | changes

    assert (await stage.api(SEND, await stage.corp_token("app"), body))["errcode"] == errcode


async def test_an_official_account_has_no_such_call(stage):
    assert (await stage.api(SEND, await stage.token(), text("x")))["errcode"] == 48001
