import re
from typing import Any, get_args
from xml.sax.saxutils import escape

import msgspec
import pytest
import wechatpy
from hypothesis import given
from hypothesis import strategies as st
from queqiao_wechat.messages import (
    ImageMessage,
    LinkMessage,
    LocationMessage,
    Message,
    MessageError,
    MiniProgramPageMessage,
    PlatformEvent,
    TextMessage,
    UnknownMessage,
    VideoMessage,
    VoiceMessage,
    dedupe_key,
    parse_message,
    trigger_of,
)

OPENID = "oABCDEFGHIJKLMNOPQRSTUVWXYZ0"
COMMON: dict[str, Any] = {"to_user": "gh_0123456789ab", "from_user": OPENID, "created": 1767225600}
LEGAL_KEY = re.compile(r"[a-zA-Z0-9_-]{1,34}")


def push(**fields: str) -> bytes:
    """Build a plain push; what is not given is as in most samples."""
    head = {
        "ToUserName": "gh_0123456789ab",
        "FromUserName": OPENID,
        "CreateTime": "1767225600",
        "MsgType": "text",
    }
    body = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in (head | fields).items())
    return f"<xml>{body}</xml>".encode()


def event(name: str, **fields: str) -> PlatformEvent:
    message = parse_message(push(MsgType="event", Event=name, **fields))
    assert isinstance(message, PlatformEvent)
    return message


SAMPLES = [
    (
        push(Content="明天杭州天气?", MsgId="24100000000000001"),
        TextMessage(**COMMON, msgid="24100000000000001", content="明天杭州天气?"),
    ),
    (
        push(Content="满意", MsgId="2", bizmsgmenuid="101"),
        TextMessage(**COMMON, msgid="2", content="满意", menu_id="101"),
    ),
    (
        push(MsgType="image", PicUrl="http://cdn.sim.local/p/1.jpg", MediaId="M", MsgId="3"),
        ImageMessage(**COMMON, msgid="3", media_id="M", picture_url="http://cdn.sim.local/p/1.jpg"),
    ),
    (
        push(
            MsgType="voice",
            MediaId="M8",
            Format="amr",
            Recognition="",
            MediaId16K="M16",
            MsgId="4",
        ),
        VoiceMessage(**COMMON, msgid="4", media_id="M8", media_id_16k="M16", format="amr"),
    ),
    (
        push(MsgType="video", MediaId="M", ThumbMediaId="T", MsgId="5"),
        VideoMessage(**COMMON, msgid="5", media_id="M", thumb_media_id="T"),
    ),
    (
        push(MsgType="shortvideo", MediaId="M", ThumbMediaId="T", MsgId="6"),
        VideoMessage(**COMMON, msgid="6", media_id="M", thumb_media_id="T", short=True),
    ),
    (
        push(
            MsgType="location",
            Location_X="30.27",
            Location_Y="120.15",
            Scale="16",
            Label="西湖",
            MsgId="7",
        ),
        LocationMessage(
            **COMMON, msgid="7", latitude=30.27, longitude=120.15, scale=16, label="西湖"
        ),
    ),
    (
        push(
            MsgType="link", Title="标题", Description="摘要", Url="https://a.example/x", MsgId="8"
        ),
        LinkMessage(
            **COMMON, msgid="8", title="标题", description="摘要", url="https://a.example/x"
        ),
    ),
    (
        push(
            MsgType="miniprogrampage",
            Title="卡片",
            AppId="wx1",
            PagePath="pages/a?id=1",
            ThumbUrl="http://cdn.sim.local/t.jpg",
            ThumbMediaId="T",
            MsgId="9",
        ),
        MiniProgramPageMessage(
            **COMMON,
            msgid="9",
            title="卡片",
            appid="wx1",
            page_path="pages/a?id=1",
            thumb_url="http://cdn.sim.local/t.jpg",
            thumb_media_id="T",
        ),
    ),
    (
        push(MsgType="file", Title="a.pdf", MsgId="10"),
        UnknownMessage(**COMMON, msgid="10", msg_type="file", fields={"Title": "a.pdf"}),
    ),
    (
        push(MsgType="event", Event="SCAN", EventKey="inv42", Ticket="TK1"),
        PlatformEvent(**COMMON, name="scan", original_name="SCAN", event_key="inv42", ticket="TK1"),
    ),
    (
        push(MsgType="event", Event="TEMPLATESENDJOBFINISH", MsgID="30", Status="success"),
        PlatformEvent(
            **COMMON,
            name="templatesendjobfinish",
            original_name="TEMPLATESENDJOBFINISH",
            fields={"MsgID": "30", "Status": "success"},
        ),
    ),
]


@pytest.mark.parametrize(("body", "expected"), SAMPLES)
def test_every_documented_type_is_read(body, expected):
    assert parse_message(body) == expected


def test_the_samples_cover_every_type():
    assert {type(expected) for _, expected in SAMPLES} == set(get_args(Message))


@pytest.mark.parametrize("message", [expected for _, expected in SAMPLES])
def test_a_message_travels_as_json(message):
    assert msgspec.json.decode(msgspec.json.encode(message), type=Message) == message


def test_a_json_push_keeps_all_digits_of_its_msgid():
    """As a float, 24100000000000010 would lose its end, and two messages would be one."""
    body = (
        b'{"ToUserName":"gh_0123456789ab","FromUserName":"oABCDEFGHIJKLMNOPQRSTUVWXYZ0",'
        b'"CreateTime":1767225600,"MsgType":"text","Content":"hi","MsgId":24100000000000011}'
    )

    assert parse_message(body) == TextMessage(**COMMON, msgid="24100000000000011", content="hi")


def test_a_json_event_keeps_its_nested_fields():
    message = parse_message(
        b'{"ToUserName":"gh_1","FromUserName":"platform_user","CreateTime":1,"MsgType":"event",'
        b'"Event":"wxa_media_check","trace_id":"T-1","result":{"suggest":"pass","label":100},'
        b'"detail":[{"prob":90},{"prob":80}]}'
    )

    assert isinstance(message, PlatformEvent)
    assert message.fields == {
        "trace_id": "T-1",
        "result.suggest": "pass",
        "result.label": "100",
        "detail.prob": "90",
        "detail.1.prob": "80",
    }


@pytest.mark.parametrize("number", ["", "x", "-1", "1e5", "9" * 30, "9" * 5000, "1.5"])
def test_a_number_that_is_none_reads_as_zero(number):
    message = parse_message(push(MsgType="location", CreateTime=number, Scale=number))

    assert isinstance(message, LocationMessage)
    assert (message.created, message.scale) == (0, 0)


@pytest.mark.parametrize("number", ["", "nan", "inf", "-inf", "1e999", "x"])
def test_a_coordinate_that_is_none_reads_as_zero(number):
    """JSON has no NaN: one would make the event unreadable for the next service."""
    message = parse_message(push(MsgType="location", Location_X=number))

    assert isinstance(message, LocationMessage)
    assert message.latitude == 0.0


@pytest.mark.parametrize("missing", ["ToUserName", "FromUserName", "MsgType"])
def test_a_body_without_the_common_fields_is_no_message(missing):
    with pytest.raises(MessageError, match=missing):
        parse_message(push(**{missing: " "}))


@given(
    fields=st.dictionaries(
        st.sampled_from(
            ["CreateTime", "MsgId", "Content", "Event", "EventKey", "Scale", "Location_X", "Odd"]
        ),
        st.text(st.characters(exclude_categories=["C"])),
    ),
    msg_type=st.sampled_from(["text", "event", "location", "voice", "shortvideo", "new"]),
)
def test_any_values_make_a_message_that_travels(fields, msg_type):
    message = parse_message(push(MsgType=msg_type, **fields))

    assert msgspec.json.decode(msgspec.json.encode(message), type=Message) == message
    assert LEGAL_KEY.fullmatch(dedupe_key(message))
    assert trigger_of(message) in {"message", "menu", "subscribe", "scan", "enter", "none"}


def test_wechatpy_reads_the_text_sample_alike():
    body = push(Content="你好，WeChat ]]> bridge", MsgId="24000000000000001")
    theirs, ours = wechatpy.parse_message(body.decode()), parse_message(body)

    assert isinstance(ours, TextMessage)
    assert (theirs.source, theirs.target) == (ours.from_user, ours.to_user)
    assert (theirs.content, str(theirs.id)) == (ours.content, ours.msgid)
    assert theirs.create_time.timestamp() == ours.created


@pytest.mark.parametrize("name", ["subscribe", "SCAN", "CLICK", "VIEW", "unsubscribe"])
def test_wechatpy_reads_the_event_samples_alike(name):
    body = push(MsgType="event", Event=name, EventKey="BTN_HELP", Ticket="TK1")
    theirs, ours = wechatpy.parse_message(body.decode()), parse_message(body)

    assert isinstance(ours, PlatformEvent)
    assert theirs._data["Event"].lower() == ours.name
    assert theirs._data["EventKey"] == ours.event_key


def test_a_repeated_delivery_has_the_same_key():
    body = push(Content="hi", MsgId="1")

    assert dedupe_key(parse_message(body)) == dedupe_key(parse_message(body))


def test_one_msgid_of_two_users_is_two_keys():
    """Seen in production: different users' voice messages were dropped as repeats."""
    ours, others = push(MsgId="1"), push(MsgId="1", FromUserName="oOTHER")

    assert dedupe_key(parse_message(ours)) != dedupe_key(parse_message(others))


def test_two_messages_without_a_msgid_are_two_keys():
    assert dedupe_key(parse_message(push(Content="a"))) != dedupe_key(
        parse_message(push(Content="b"))
    )


def test_two_events_in_one_second_are_two_keys():
    """WeChat documents sender and time as the key: a scan and a click at once would be one."""
    keys = [
        dedupe_key(event("CLICK", EventKey="A")),
        dedupe_key(event("CLICK", EventKey="B")),
        dedupe_key(event("SCAN", EventKey="A")),
        dedupe_key(event("CLICK", EventKey="A", CreateTime="1767225601")),
        dedupe_key(event("TEMPLATESENDJOBFINISH", MsgID="1")),
        dedupe_key(event("TEMPLATESENDJOBFINISH", MsgID="2")),
    ]

    assert len(set(keys)) == len(keys)
    assert all(key.startswith("e_") for key in keys)


def test_no_two_lists_of_parts_run_together():
    assert dedupe_key(parse_message(push(FromUserName="o1", MsgId="23"))) != dedupe_key(
        parse_message(push(FromUserName="o12", MsgId="3"))
    )


def test_no_openid_can_be_read_in_a_key():
    key = dedupe_key(parse_message(push(MsgId="1")))

    assert LEGAL_KEY.fullmatch(key)
    assert OPENID not in key


@pytest.mark.parametrize(
    ("message", "trigger"),
    [
        (parse_message(push(Content="hi")), "message"),
        (parse_message(push(MsgType="voice")), "message"),
        (parse_message(push(MsgType="new")), "message"),
        (parse_message(push(Content="满意", bizmsgmenuid="101")), "menu"),
        (event("CLICK"), "menu"),
        (event("scancode_push"), "menu"),
        (event("scancode_waitmsg"), "menu"),
        (event("VIEW"), "none"),
        (event("LOCATION"), "none"),
        (event("unsubscribe"), "none"),
        (event("subscribe", EventKey="qrscene_1"), "subscribe"),
        (event("SCAN"), "scan"),
        (event("user_enter_tempsession"), "enter"),
        (event(""), "none"),
    ],
)
def test_a_push_opens_the_quota_that_wechat_documents(message, trigger):
    assert trigger_of(message) == trigger
