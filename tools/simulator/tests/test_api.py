"""The API host, over HTTP as a client sees it."""

import asyncio

import httpx
import pytest

SEND = "/cgi-bin/message/custom/send"
TYPING = "/cgi-bin/message/custom/typing"


@pytest.fixture
async def chat(stage):
    """A user who has just written: the window is open."""
    said = await stage.say()
    await stage.settled()
    return said["openid"]


async def fault(stage, **rule):
    await stage.control("PUT", "/faults", json=[{"count": 1, **rule}])


async def shown(stage):
    return [entry["text"] for entry in await stage.transcript() if entry["who"] == "account"]


async def test_a_customer_service_message_is_shown_with_its_ai_mark(stage, chat):
    result = await stage.send(chat, "答案", await stage.token(), aimsgcontext={"is_ai_msg": 1})
    entry = (await stage.transcript())[-1]

    assert result == {"errcode": 0, "errmsg": "ok"}
    assert (entry["text"], entry["via"], entry["ai"]) == ("答案", "api", True)


async def test_the_sixth_message_is_refused_until_the_user_writes_again(stage, chat):
    token = await stage.token()

    codes = [(await stage.send(chat, str(n), token))["errcode"] for n in range(6)]
    await stage.say("再来")
    after = await stage.send(chat, "第六", token)

    assert codes == [0, 0, 0, 0, 0, 45047]
    assert after["errcode"] == 0


async def test_the_window_closes_after_48_hours(stage, chat):
    await stage.control("POST", "/clock", json={"advance": 48 * 3600 + 1})

    assert (await stage.send(chat, "晚了", await stage.token()))["errcode"] == 45015


async def test_a_call_without_a_token_is_told_so(stage):
    assert (await stage.http.post(SEND, json={})).json()["errcode"] == 41001


async def test_a_token_is_given_to_addresses_on_the_allowlist_alone(stage):
    client = {"grant_type": "client_credential", "appid": "wx_fenced", "secret": "s"}
    refusal = (await stage.http.get("/cgi-bin/token", params=client)).json()

    assert refusal["errcode"] == 40164
    assert "127.0.0.1" in refusal["errmsg"]


async def test_errors_are_http_200_and_end_in_a_request_id(stage, chat):
    response = await stage.http.post(SEND, params={"access_token": "nobody's"}, json={})

    assert response.status_code == 200
    assert response.json()["errcode"] == 40014
    assert "rid: " in response.json()["errmsg"]


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        (b"", 44002),
        (b"{", 47001),
        (b'{"touser":"nobody","msgtype":"text","text":{"content":"x"}}', 40003),
        (b'{"touser":"%s","msgtype":"hologram"}', 40008),
        (b'{"touser":"%s","msgtype":"text","text":{"content":""}}', 44004),
        (b'{"touser":"%s","msgtype":"text","text":{"content":"\\u4f60"}}', 40033),
        (b'{"touser":"%s","msgtype":"text","text":{"content":"' + b"x" * 2049 + b'"}}', 45002),
        (b'{"touser":"%s","msgtype":"news","news":{"articles":[]}}', 45008),
        (b'{"touser":"%s","msgtype":"msgmenu","msgmenu":{"list":[1]}}', 47001),
    ],
)
async def test_bad_messages_have_their_own_errcodes(stage, chat, body, errcode):
    body = body.replace(b"%s", chat.encode())
    token = await stage.token()

    response = await stage.http.post(SEND, params={"access_token": token}, content=body)

    assert response.json()["errcode"] == errcode


@pytest.mark.parametrize(
    ("flag", "errcode"), [("blacklisted", 43019), ("refusing", 48002), ("minor", 70000)]
)
async def test_user_flags_refuse_messages(stage, chat, flag, errcode):
    await stage.control("PUT", "/users", json={"account": "main", "user": "小鹊", flag: True})

    assert (await stage.send(chat, "x", await stage.token()))["errcode"] == errcode


async def test_an_unverified_subscription_account_may_not_send(stage):
    said = await stage.say(account="paper")

    assert (await stage.send(said["openid"], "x", await stage.token("paper")))["errcode"] == 48001


async def test_typing_is_shown_until_a_message_arrives(stage, chat):
    token = await stage.token()

    async def command(name):
        body = {"touser": chat, "command": name}
        return (await stage.http.post(TYPING, params={"access_token": token}, json=body)).json()

    async def typing_for():
        where = {"account": "main", "user": "小鹊"}
        return (await stage.control("GET", "/conversation", params=where))["user"]["typing_for"]

    first, again, wrong = [
        (await command(name))["errcode"] for name in ("Typing", "Typing", "Dancing")
    ]
    during = await typing_for()
    await stage.send(chat, "好了", token)
    after = await typing_for()
    await stage.control("POST", "/clock", json={"advance": 31})

    assert (first, again, wrong) == (0, 45081, 45072)
    assert 5 < during <= 15
    assert after == 0
    assert (await command("Typing"))["errcode"] == 45080


async def test_the_quota_can_be_cleared_ten_times_a_month(stage):
    where = {"params": {"access_token": await stage.token()}, "json": {"appid": "wx_main"}}

    answers = [await stage.http.post("/cgi-bin/clear_quota", **where) for _ in range(11)]

    assert [answer.json()["errcode"] for answer in answers] == [0] * 10 + [48006]


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"grant_type": "x"}, 40002),
        ({"appid": "wx_nobody"}, 40013),
        ({"appid": ""}, 41002),
        ({"secret": "wrong"}, 40125),
        ({"secret": ""}, 41004),
    ],
)
async def test_token_requests_are_checked(stage, change, errcode):
    given = {"grant_type": "client_credential", "appid": "wx_main", "secret": "s"} | change

    by_query = (await stage.http.get("/cgi-bin/token", params=given)).json()
    by_body = (await stage.http.post("/cgi-bin/stable_token", json=given)).json()

    assert by_query["errcode"] == by_body["errcode"] == errcode


async def test_an_injected_errcode_has_no_effect_and_counts_down(stage, chat):
    token = await stage.token()
    await fault(stage, kind="errcode", errcode=-1, path=SEND)

    codes = [(await stage.send(chat, "一次", token))["errcode"] for _ in range(2)]

    assert codes == [-1, 0]
    assert await shown(stage) == ["一次"]


async def test_a_call_may_take_effect_and_lose_its_answer(stage, chat):
    """The reason why a send is never exactly once."""
    token = await stage.token()
    await fault(stage, kind="disconnect_after", path=SEND)

    with pytest.raises(httpx.RemoteProtocolError):
        await stage.send(chat, "到了", token)

    assert await shown(stage) == ["到了"]


async def test_a_call_may_be_lost_before_its_effect(stage, chat):
    token = await stage.token()
    await fault(stage, kind="disconnect_before", account="main")

    with pytest.raises(httpx.RemoteProtocolError):
        await stage.send(chat, "没到", token)

    assert await shown(stage) == []


async def test_http_errors_and_delays_can_be_injected(stage, chat):
    token = await stage.token()
    rules = [
        {"kind": "http", "status": 502, "count": 1},
        {"kind": "delay", "seconds": 0.01, "count": 1},
    ]
    await stage.control("PUT", "/faults", json=rules)
    params = {"access_token": token}

    first = await stage.http.post(SEND, params=params, json={})
    second = await stage.http.get("/cgi-bin/getcallbackip", params=params)

    assert (first.status_code, second.json()) == (502, {"ip_list": ["127.0.0.1"]})
    assert [rule["fired"] for rule in await stage.control("GET", "/faults")] == [1, 1]


async def test_a_token_may_be_revoked_in_flight(stage, chat):
    token = await stage.token()
    await fault(stage, kind="revoke_token", path=SEND)

    assert (await stage.send(chat, "x", token))["errcode"] == 40001


async def test_the_call_log_keeps_no_tokens_and_no_texts(stage, chat):
    token = await stage.token()
    await stage.send(chat, "机密", token)

    response = await stage.http.get("/control/calls")

    assert token not in response.text
    assert "机密" not in response.text
    assert response.json()[-1]["openid"] == chat
    assert response.json()[-1]["what"] == "text"


async def test_unknown_paths_are_invalid_urls(stage):
    assert (await stage.http.get("/cgi-bin/nothing")).json()["errcode"] == 40066


async def test_the_stream_says_which_chat_has_changed(stage):
    async with asyncio.timeout(5), stage.http.stream("GET", "/control/stream") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == ": ready"
        said = await stage.say()
        notice = next(line for line in [await anext(lines), await anext(lines)] if line)

    assert notice.startswith("data: ")
    assert said["openid"] in notice
