"""QR codes, user info, notices, OAuth, the administrator (protocol reference 5.2, 9)."""

import pytest
from queqiao_simulator.allowlist import Confirmation
from queqiao_simulator.notices import check_values, text_of
from queqiao_simulator.oauth import OAuth
from queqiao_simulator.refusals import Refused
from queqiao_simulator.scenes import Scenes

NOW = 1_767_225_600.0
QR = "/cgi-bin/qrcode/create"
TEMPLATE = "/cgi-bin/message/template/send"


def refused(act, *arguments):
    with pytest.raises(Refused) as caught:
        act(*arguments)
    return caught.value.errcode


def scene(name, value, **more):
    field = "scene_str" if "STR" in name else "scene_id"
    return {"action_name": name, "action_info": {"scene": {field: value}}, **more}


def test_a_temporary_code_expires_and_a_permanent_one_does_not():
    scenes = Scenes()
    passing, seconds = scenes.create(scene("QR_STR_SCENE", "inv42", expire_seconds=100), NOW)
    lasting, _ = scenes.create(scene("QR_LIMIT_SCENE", 7), NOW)

    assert seconds == 100
    assert scenes.find(passing.ticket, NOW + 99) == passing
    assert scenes.find(passing.ticket, NOW + 100) is None
    assert scenes.find(lasting.ticket, NOW + 1e9) == lasting
    assert scenes.find("7", NOW) == lasting


@pytest.mark.parametrize(
    "body",
    [
        {},
        scene("QR_HOLOGRAM", 1),
        scene("QR_SCENE", 0),
        scene("QR_LIMIT_SCENE", 100_001),
        scene("QR_STR_SCENE", ""),
        scene("QR_STR_SCENE", "x" * 65),
        scene("QR_SCENE", 1, expire_seconds=2_592_001),
    ],
)
def test_wrong_scenes_are_refused(body):
    assert refused(Scenes().create, body, NOW) == 40053


async def test_scanning_makes_a_stranger_follow_and_a_follower_scan(stage):
    token = await stage.token()
    made = await stage.api(QR, token, scene("QR_STR_SCENE", "spring", expire_seconds=60))
    await stage.driver.scan("main", "小鹊", made["ticket"])
    await stage.settled()
    await stage.driver.scan("main", "小鹊", "spring")
    await stage.settled()
    pushes = [push.fields for push in stage.bot.received]
    openid = pushes[0]["FromUserName"]
    info = await stage.api("/cgi-bin/user/info", token, openid=openid)

    assert [(one["Event"], one["EventKey"]) for one in pushes] == [
        ("subscribe", "qrscene_spring"),
        ("SCAN", "spring"),
    ]
    assert {one["Ticket"] for one in pushes} == {made["ticket"]}
    assert (info["subscribe"], info["qr_scene_str"]) == (1, "spring")
    assert "nickname" not in info


async def test_an_old_code_cannot_be_scanned(stage):
    made = await stage.api(QR, await stage.token(), scene("QR_SCENE", 5, expire_seconds=60))
    await stage.driver.advance(60)
    body = {"account": "main", "user": "小鹊", "ticket": made["ticket"]}

    assert (await stage.http.post("/control/scans", json=body)).status_code == 404


async def test_a_code_has_a_picture(stage):
    answer = await stage.http.get("/cgi-bin/showqrcode", params={"ticket": "x"})

    assert answer.content.startswith(b"\xff\xd8")


async def test_who_does_not_follow_is_a_bare_openid(stage):
    openid = (await stage.control("GET", "/users", params={"account": "main"}))[0]["openid"]
    token = await stage.token()

    known = await stage.api("/cgi-bin/user/info", token, openid=openid)
    unknown = await stage.api("/cgi-bin/user/info", token, openid="nobody")

    assert (known["subscribe"], unknown["errcode"]) == (0, 40003)


def template(openid, **more):
    return {"touser": openid, "template_id": "T1", "data": {"thing1": {"value": "到了"}}, **more}


async def test_a_template_message_is_shown_and_finishes_later(stage):
    said, token = await stage.say(), await stage.token()
    await stage.settled()
    stage.bot.received.clear()

    sent = await stage.api(TEMPLATE, token, template(said["openid"]))
    entry = (await stage.transcript())[-1]
    await stage.driver.advance(1)
    await stage.settled()
    event = stage.bot.received[0].fields

    assert (entry["kind"], entry["text"]) == ("template", "thing1：到了")
    assert event["Event"] == "TEMPLATESENDJOBFINISH"
    assert (event["MsgID"], event["Status"]) == (str(sent["msgid"]), "success")


async def test_a_template_message_may_be_blocked_by_the_user(stage):
    said = await stage.say()
    await stage.settled()
    stage.bot.received.clear()
    await stage.control("PUT", "/users", json={"account": "main", "user": "小鹊", "refusing": True})

    await stage.api(TEMPLATE, await stage.token(), template(said["openid"]))
    await stage.driver.advance(1)
    await stage.settled()

    assert stage.bot.received[0].fields["Status"] == "failed:user block"


async def test_template_messages_are_refused_for_cause(stage):
    said, token = await stage.say(), await stage.token()
    openid = said["openid"]
    bodies = [template("nobody"), template(openid, template_id=""), template(openid, data=1)]

    codes = [(await stage.api(TEMPLATE, token, body))["errcode"] for body in bodies]

    assert codes == [40003, 40037, 47003]
    assert (await stage.api(TEMPLATE, await stage.token("paper"), bodies[0]))["errcode"] == 48001


async def test_a_template_message_needs_a_follower(stage):
    said, token = await stage.say(), await stage.token()
    left = {"account": "main", "user": "小鹊", "event": "unsubscribe"}
    await stage.control("POST", "/events", json=left)

    answer = await stage.api(TEMPLATE, token, template(said["openid"]))

    assert answer["errcode"] == 43004


async def test_a_notice_needs_the_users_consent_each_time(stage):
    said, token = await stage.say(), await stage.token()
    path, body = "/cgi-bin/message/subscribe/bizsend", template(said["openid"])
    before = await stage.api(path, token, body)
    grant = {"account": "main", "user": "小鹊", "template_id": "T1"}
    await stage.settled()
    stage.bot.received.clear()

    await stage.control("POST", "/subscriptions", json=grant)
    codes = [(await stage.api(path, token, body))["errcode"] for _ in range(2)]
    await stage.settled()
    await stage.driver.advance(1)
    await stage.settled()
    events = [push.fields for push in stage.bot.received]

    assert (before["errcode"], codes) == (43101, [0, 43101])
    assert [one["Event"] for one in events] == [
        "subscribe_msg_popup_event",
        "subscribe_msg_sent_event",
    ]
    assert events[0]["SubscribeMsgPopupEvent"]["List"]["SubscribeStatusString"] == "accept"


def test_values_of_a_mini_programs_notice_have_limits():
    check_values({"thing1": {"value": "二十个字以内"}, "other": {"value": "x" * 99}})

    assert refused(check_values, {"thing1": {"value": "长" * 21}}) == 47003
    assert refused(check_values, {"phrase2": {"value": "六个汉字太长"}}) == 47003


def test_forbidden_words_are_refused():
    body = {"template_id": "T", "data": {"a": {"value": "禁词"}}}

    assert refused(text_of, body, (), ("禁词",)) == 45168
    assert refused(text_of, body, ("other",)) == 40037


def test_a_code_works_once_and_not_for_long():
    oauth = OAuth()
    code, old = (oauth.consent("oUser", "snsapi_base", NOW) for _ in range(2))
    visit = oauth.exchange(code, NOW + 1)

    assert visit.openid == "oUser"
    assert refused(oauth.exchange, code, NOW + 2) == 40163
    assert refused(oauth.exchange, old, NOW + 300) == 42003
    assert refused(oauth.exchange, "nothing", NOW) == 40029
    assert oauth.refresh(visit.refresh_token, NOW).openid == "oUser"
    assert refused(oauth.visit, visit.access_token, "oOther", NOW) == 40003
    assert refused(oauth.visit, visit.access_token, "oUser", NOW + 8000) == 42001


async def test_a_page_learns_who_the_user_is(stage):
    query = {
        "appid": "wx_main",
        "redirect_uri": "https://a.example/back?x=1",
        "scope": "snsapi_userinfo",
        "state": "s",
        "user": "小鹊",
    }
    redirect = await stage.http.get("/connect/oauth2/authorize", params=query)
    code = redirect.next_request.url.params["code"]
    client = {"appid": "wx_main", "secret": "s", "code": code, "grant_type": "authorization_code"}
    visit = (await stage.http.get("/sns/oauth2/access_token", params=client)).json()
    again = (await stage.http.get("/sns/oauth2/access_token", params=client)).json()
    known = {"access_token": visit["access_token"], "openid": visit["openid"]}
    info = (await stage.http.get("/sns/userinfo", params=known)).json()
    valid = (await stage.http.get("/sns/auth", params=known)).json()

    assert redirect.status_code == 302
    assert redirect.next_request.url.params["state"] == "s"
    assert again["errcode"] == 40163
    assert (info["nickname"], valid["errcode"]) == ("小鹊", 0)


async def test_a_quiet_consent_tells_no_name(stage):
    consent = {"account": "main", "user": "小鹊"}
    code = (await stage.control("POST", "/oauth", json=consent))["code"]
    client = {"appid": "wx_main", "secret": "s", "code": code, "grant_type": "authorization_code"}
    visit = (await stage.http.get("/sns/oauth2/access_token", params=client)).json()
    known = {"access_token": visit["access_token"], "openid": visit["openid"]}

    assert (await stage.http.get("/sns/userinfo", params=known)).json()["errcode"] == 48001


def test_the_administrator_decides_about_an_address():
    word = Confirmation()
    answers = [word.errcode(NOW)]
    word.decide("ask", NOW)
    answers += [word.errcode(NOW), word.errcode(NOW)]
    word.decide("refuse", NOW)
    answers += [word.errcode(NOW + 3599), word.errcode(NOW + 3600)]
    word.decide("refuse", NOW)
    answers += [word.errcode(NOW + 3600)]
    word.decide("accept", NOW)
    answers += [word.errcode(NOW)]

    assert answers == [0, 89503, 89501, 89507, 89503, 89506, 0]


async def test_an_account_may_be_frozen_banned_or_asked_about(stage):
    token = await stage.token()
    client = {"grant_type": "client_credential", "appid": "wx_main", "secret": "s"}

    async def code_with(**patch):
        await stage.control("PUT", "/accounts", json={"account": "main", **patch})
        return (await stage.http.get("/cgi-bin/token", params=client)).json().get("errcode", 0)

    asked = await code_with(address="ask")
    accepted = await code_with(address="accept")
    frozen = await code_with(frozen=True)
    await stage.control("PUT", "/accounts", json={"account": "main", "banned": True})
    banned = await stage.api("/cgi-bin/getcallbackip", token)

    assert (asked, accepted, frozen) == (89503, 0, 40243)
    assert banned["errcode"] == 48004


async def test_the_quota_can_be_cleared_without_a_token(stage):
    body = {"appid": "wx_main", "appsecret": "s"}

    right = (await stage.http.post("/cgi-bin/clear_quota/v2", json=body)).json()
    wrong = (
        await stage.http.post("/cgi-bin/clear_quota/v2", json=body | {"appsecret": "x"})
    ).json()

    assert (right["errcode"], wrong["errcode"]) == (0, 40125)
