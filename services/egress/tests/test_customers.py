"""From what customers of WeChat Customer Service say to the events the services speak of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.events import Media
from queqiao_common.ids import conversation_id
from queqiao_common.testing import ACCOUNT, NOW_MS
from queqiao_egress.customers import failure_of, inbound
from queqiao_wechat.kf_client import page_of

WHO = {"open_kfid": "wk1", "external_userid": "wm1", "send_time": NOW_MS // 1000, "origin": 3}


def item(**fields):
    return page_of({"msg_list": [{"msgid": "m1", **WHO, **fields}]}).items[0]


def event(**fields):
    body = {"open_kfid": "wk1", "external_userid": "wm1", **fields}
    return item(msgtype="event", origin=4, event=body)


def heard(one):
    return inbound(one, account=ACCOUNT, pepper="salt", now_ms=NOW_MS)


def test_a_text_keeps_who_said_it_to_whom():
    said = heard(item(msgtype="text", text={"content": "你好", "menu_id": "101"}))

    assert (said.id, said.msgid, said.text) == (f"wx:{ACCOUNT}:m1", "m1", "你好")
    assert (said.openid, said.peer, said.menu_id) == ("wm1", "wk1", "101")
    assert said.conv == conversation_id(pepper="salt", account=ACCOUNT, openid="wm1")
    assert (said.kind, said.trigger, said.received_ms) == ("text", "message", NOW_MS)


@pytest.mark.parametrize(
    ("msgtype", "body", "text"),
    [
        (
            "location",
            {"latitude": 30.27, "longitude": 120.15, "name": "西湖", "address": "杭州"},
            "[位置] 西湖 杭州（纬度 30.27，经度 120.15）",
        ),
        (
            "link",
            {"title": "标题", "desc": "摘要", "url": "https://a.example"},
            "[链接] 标题\n摘要\nhttps://a.example",
        ),
        ("miniprogram", {"title": "卡片", "pagepath": "pages/a"}, "[小程序页面] 卡片\npages/a"),
    ],
)
def test_what_is_no_text_becomes_words(msgtype, body, text):
    assert heard(item(msgtype=msgtype, **{msgtype: body})).text == text


def test_media_are_to_be_fetched_and_what_is_unknown_is_passed_on():
    voice = heard(item(msgtype="voice", voice={"media_id": "M1"}))

    assert voice.media == (Media(kind="voice", media_id="M1", format="amr"),)
    assert voice.kind == "unsupported"
    assert heard(item(msgtype="business_card", business_card={})).kind == "unsupported"


def test_what_people_of_the_account_say_is_not_a_question():
    assert heard(item(msgtype="text", text={"content": "你好"}, origin=5)) is None


def test_a_welcome_code_comes_with_who_entered():
    entered = heard(event(event_type="enter_session", welcome_code="W", scene_param="shop"))

    assert (entered.platform_event, entered.trigger) == ("enter_session", "enter")
    assert (entered.ticket, entered.scene) == ("W", "shop")
    assert "W" not in entered.details.values()


def test_the_end_of_a_conversation_with_people_is_told():
    changed = heard(event(event_type="session_status_change", change_type=3))

    assert changed.platform_event == "session_status_change"
    assert changed.details["change_type"] == "3"


def test_a_message_that_failed_later_is_for_operators_only():
    failed = event(event_type="msg_send_fail", fail_msgid="k1", fail_type=6)

    assert heard(failed) is None
    assert failure_of(failed) == ("k1", 6)
    assert failure_of(item(msgtype="text")) is None


@given(
    body=st.dictionaries(st.text(max_size=8), st.none() | st.text() | st.integers() | st.floats()),
    msgtype=st.sampled_from(["text", "image", "voice", "location", "link", "event", "", "x"]),
)
def test_no_item_breaks_the_reader(body, msgtype):
    heard(item(msgtype=msgtype, **({msgtype: body} if msgtype not in WHO and msgtype else {})))
