"""WeChat customer service of WeCom (protocol reference 10.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_simulator.kf import ENDED, HUMAN, MOVES, KfDesk
from queqiao_simulator.refusals import Refused
from queqiao_simulator.rules import KfRules

NOW = 1_767_225_600.0
DAY = 86400.0


def desk(**rules):
    return KfDesk(KfRules(**rules))


def pulled(desk, now, **asked):
    return [item["n"] for item in desk.sync({"token": desk.new_token(now), **asked}, now).items]


def refused(act, *arguments):
    with pytest.raises(Refused) as caught:
        act(*arguments)
    return caught.value.errcode


@given(st.integers(0, 30), st.integers(1, 7))
def test_following_the_cursor_reads_everything_once(count, limit):
    log, cursor, seen = desk(), "", []
    for number in range(count):
        log.add({"n": number}, NOW)
    while True:
        asked = {"cursor": cursor, "limit": limit, "token": log.new_token(NOW)}
        page = log.sync(asked, NOW)
        seen += [item["n"] for item in page.items]
        cursor = page.next_cursor
        if not page.has_more:
            break

    assert seen == list(range(count))


def test_three_days_are_kept():
    log = desk()
    log.add({"n": 1}, NOW)
    log.add({"n": 2}, NOW + 2 * DAY)

    assert pulled(log, NOW + 3 * DAY - 1) == [1, 2]
    assert pulled(log, NOW + 3 * DAY) == [2]


def test_a_token_is_good_for_ten_minutes():
    log = desk()
    token = log.new_token(NOW)

    assert log.sync({"token": token}, NOW + 599).items == []
    assert refused(log.sync, {"token": token}, NOW + 600) == 95007
    assert refused(log.sync, {"token": "mine"}, NOW) == 95007


def test_without_a_token_pulling_is_limited():
    log = desk(without_token_per_minute=1)
    log.sync({}, NOW)

    assert refused(log.sync, {}, NOW) == 45009
    assert log.sync({}, NOW + 60).items == []


@pytest.mark.parametrize("asked", [{"cursor": "?"}, {"limit": 1001}, {"limit": "x"}])
def test_wrong_questions_are_refused(asked):
    assert refused(desk().sync, asked, NOW) == 40058


def test_five_messages_in_48_hours():
    log = desk()
    log.heard("wmA", NOW)

    failures = [log.sending("wmA", "", NOW)[1] for _ in range(6)]
    log.heard("wmA", NOW)
    late = log.sending("wmA", "", NOW + 2 * DAY)[1]

    assert failures == [0, 0, 0, 0, 0, 6]
    assert late == 4


def test_too_many_may_be_refused_at_once():
    log = desk(refuse_at_once=True, message_count=0)
    log.heard("wmA", NOW)

    assert refused(log.sending, "wmA", "m1", NOW) == 95001
    assert refused(log.sending, "wmA", "m1", NOW + 2 * DAY) == 95002


def test_a_msgid_is_used_once():
    log = desk()
    log.heard("wmA", NOW)
    log.sending("wmA", "m1", NOW)

    assert refused(log.sending, "wmA", "m1", NOW) == 40058
    assert refused(log.sending, "wmA", "with space", NOW) == 40058
    assert refused(log.sending, "wmA", "x" * 33, NOW) == 40058


@given(st.lists(st.integers(-1, 5), max_size=12))
def test_an_ended_talk_stays_ended_until_the_customer_writes(states):
    log = desk()
    log.heard("wmA", NOW)
    for state in states:
        before = log.talk("wmA").state
        allowed = state in MOVES[before]
        if allowed:
            log.move("wmA", state, "lisi")
        else:
            refused(log.move, "wmA", state, "lisi")
        assert log.talk("wmA").state == (state if allowed else before)
    log.heard("wmA", NOW)
    assert log.talk("wmA").state != ENDED


def test_a_bot_is_silent_while_a_person_serves():
    log = desk()
    log.heard("wmA", NOW)
    assert refused(log.move, "wmA", HUMAN, "") == 40058
    log.move("wmA", HUMAN, "lisi")

    assert refused(log.sending, "wmA", "", NOW) == 95018
    log.move("wmA", ENDED, "")
    assert refused(log.sending, "wmA", "", NOW) == 95013


# -- over HTTP ----------------------------------------------------------------------------------


class Desk:
    def __init__(self, stage, token):
        self.stage, self.token = stage, token

    async def call(self, name, **body):
        return await self.stage.api(f"/cgi-bin/kf/{name}", self.token, body)

    async def sync(self, **body):
        return await self.call("sync_msg", open_kfid="wk_desk", **body)

    async def send(self, customer, text="您好", **more):
        body = {"touser": customer, "open_kfid": "wk_desk", "msgtype": "text"}
        return await self.call("send_msg", **body, text={"content": text}, **more)

    async def settled(self):
        return await self.stage.settled(account="desk")


@pytest.fixture
async def kf(stage):
    return Desk(stage, await stage.corp_token("kf"))


async def test_a_push_says_only_that_there_is_something_to_pull(stage, kf):
    said = await stage.say("在吗", account="desk")
    await kf.settled()
    [push] = stage.bot.received
    fields = push.secret
    page = await kf.sync(token=fields["Token"])
    [item] = page["msg_list"]

    assert set(fields) == {
        "ToUserName", "CreateTime", "MsgType", "Event", "Token", "OpenKfId",
    }  # fmt: skip
    assert (fields["Event"], fields["OpenKfId"]) == ("kf_msg_or_event", "wk_desk")
    assert "在吗" not in push.whole.decode()
    assert (item["msgid"], item["origin"], item["text"]) == (said["msgid"], 3, {"content": "在吗"})
    assert item["external_userid"] == said["openid"]
    assert page["has_more"] == 0


async def test_reading_on_answers_only_what_is_new(stage, kf):
    await stage.say("一", account="desk")
    await kf.settled()
    first = await kf.sync()
    await stage.say("二", account="desk")
    await kf.settled()
    second = await kf.sync(cursor=first["next_cursor"])

    assert [item["text"]["content"] for item in second["msg_list"]] == ["二"]


async def test_a_page_may_be_empty_and_not_the_last(stage, kf):
    await stage.say("一", account="desk")
    await kf.settled()
    await stage.driver.misbehave({"kind": "kf_empty_page", "count": 1})

    empty = await kf.sync()
    full = await kf.sync(cursor=empty["next_cursor"])

    assert (empty["msg_list"], empty["has_more"]) == ([], 1)
    assert len(full["msg_list"]) == 1


async def test_a_picture_is_pulled_and_downloaded(stage, kf):
    await stage.driver.picture("desk", "小鹊")
    await kf.settled()
    [item] = (await kf.sync())["msg_list"]
    params = {"access_token": kf.token, "media_id": item["image"]["media_id"]}

    assert item["msgtype"] == "image"
    assert (await stage.http.get("/cgi-bin/media/get", params=params)).content[:2] == b"\xff\xd8"


async def test_answers_are_shown_and_a_sixth_fails_later(stage, kf):
    customer = (await stage.say(account="desk"))["openid"]
    await kf.settled()
    answers = [await kf.send(customer, str(n), msgid=f"m{n}") for n in range(6)]
    await stage.driver.advance(1)
    entries = await kf.settled()
    last = (await kf.sync())["msg_list"][-1]

    assert [answer["errcode"] for answer in answers] == [0] * 6
    assert answers[0]["msgid"] == "m0"
    assert [one["text"] for one in entries if one["who"] == "account"] == list("01234")
    assert (last["origin"], last["event"]["event_type"]) == (4, "msg_send_fail")
    assert (last["event"]["fail_msgid"], last["event"]["fail_type"]) == ("m5", 6)


async def test_a_repeated_msgid_is_refused(stage, kf):
    customer = (await stage.say(account="desk"))["openid"]

    codes = [(await kf.send(customer, msgid="same"))["errcode"] for _ in range(2)]

    assert codes == [0, 40058]


async def test_any_send_may_be_made_to_fail_later(stage, kf):
    customer = (await stage.say(account="desk"))["openid"]
    await stage.driver.misbehave({"kind": "kf_send_fail", "fail_type": 10, "count": 1})

    await kf.send(customer)
    await stage.driver.advance(1)
    await kf.settled()

    assert (await kf.sync())["msg_list"][-1]["event"]["fail_type"] == 10


async def test_a_customer_who_enters_can_be_greeted_once(stage, kf):
    await stage.driver.happen("desk", "小鹊", "enter_session", scene="shop")
    await kf.settled()
    [item] = (await kf.sync())["msg_list"]
    event = item["event"]
    greeting = {"code": event["welcome_code"], "msgtype": "text", "text": {"content": "欢迎"}}

    codes = [(await kf.call("send_msg_on_event", **greeting))["errcode"] for _ in range(2)]
    entries = await kf.settled()

    assert (event["event_type"], event["scene"]) == ("enter_session", "shop")
    assert codes == [0, 95007]
    assert entries[-1]["text"] == "欢迎"


async def test_a_welcome_code_is_good_for_20_seconds(stage, kf):
    await stage.driver.happen("desk", "小鹊", "enter_session")
    await kf.settled()
    code = (await kf.sync())["msg_list"][0]["event"]["welcome_code"]
    await stage.driver.advance(20)
    greeting = {"code": code, "msgtype": "text", "text": {"content": "欢迎"}}

    assert (await kf.call("send_msg_on_event", **greeting))["errcode"] == 95007


async def test_a_person_serves_the_customer(stage, kf):
    customer = (await stage.say(account="desk"))["openid"]
    whom = {"open_kfid": "wk_desk", "external_userid": customer}
    await kf.call("service_state/trans", **whom, service_state=3, servicer_userid="lisi")
    state = await kf.call("service_state/get", **whom)
    refused = await kf.send(customer)
    await stage.driver.agent("desk", "小鹊", "say", text="我是李四")
    await stage.driver.agent("desk", "小鹊", "close")
    entries = await kf.settled()
    items = (await kf.sync())["msg_list"]

    assert (state["service_state"], state["servicer_userid"]) == (3, "lisi")
    assert refused["errcode"] == 95018
    assert (entries[-1]["text"], entries[-1]["via"]) == ("我是李四", "agent")
    assert [item["origin"] for item in items] == [3, 5, 4]
    assert items[-1]["event"]["change_type"] == 3


async def test_a_menu_item_comes_back_with_its_id(stage, kf):
    customer = (await stage.say(account="desk"))["openid"]
    menu = {
        "head_content": "选一个",
        "list": [{"type": "click", "click": {"id": "1", "content": "退款"}}],
    }
    body = {"touser": customer, "open_kfid": "wk_desk", "msgtype": "msgmenu", "msgmenu": menu}
    await kf.call("send_msg", **body)
    await stage.driver.choose("desk", "小鹊", "退款")
    await kf.settled()

    assert (await kf.sync())["msg_list"][-1]["text"] == {"content": "退款", "menu_id": "1"}


async def test_every_desk_of_the_company_is_listed(stage, kf):
    listed = (await kf.call("account/list", limit=100))["account_list"]

    assert [one["open_kfid"] for one in listed] == ["wk_desk", "wk_desk2"]


async def test_one_token_serves_both_desks_but_their_logs_differ(stage, kf):
    await stage.say(account="desk2")
    await stage.settled(account="desk2")
    mine = await kf.sync()
    other = await kf.call("sync_msg", open_kfid="wk_desk2")
    unknown = await kf.call("sync_msg", open_kfid="wk_nowhere")

    assert (len(mine["msg_list"]), len(other["msg_list"])) == (0, 1)
    assert unknown["errcode"] == 95000


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"touser": "wm_nobody"}, 40003),
        ({"msgtype": "hologram"}, 40008),
        ({"text": {"content": ""}}, 44004),
        ({"text": {"content": "字" * 683}}, 45002),
        ({"msgtype": "image", "image": {"media_id": "x"}}, 40007),
        ({"msgtype": "msgmenu", "msgmenu": {"list": [{}] * 11}}, 95008),
    ],
)
async def test_bad_messages_have_their_own_errcodes(stage, kf, changes, errcode):
    customer = (await stage.say(account="desk"))["openid"]
    body = {"touser": customer, "open_kfid": "wk_desk", "msgtype": "text", "text": {"content": "x"}}

    assert (await kf.call("send_msg", **(body | changes)))["errcode"] == errcode


async def test_locations_and_links_have_other_names_here(stage, kf):
    for kind in ("location", "link"):
        await stage.say(account="desk", kind=kind)
    await kf.settled()
    place, link = (item[item["msgtype"]] for item in (await kf.sync())["msg_list"])

    assert set(place) == {"latitude", "longitude", "name", "address"}
    assert set(link) == {"title", "desc", "url", "pic_url"}
