"""The samples of the protocol reference (3), read by us and by an implementation widely used.

And the other way round: what we reply is what it would, and what it reads of us.
"""

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
import wechatpy
from queqiao_wechat.messages import (
    ImageMessage,
    LinkMessage,
    LocationMessage,
    Message,
    MiniProgramPageMessage,
    PlatformEvent,
    TextMessage,
    UnknownMessage,
    VideoMessage,
    VoiceMessage,
    parse_message,
)
from queqiao_wechat.replies import (
    image_reply,
    news_reply,
    text_reply,
    transfer_reply,
    transfer_reply_json,
    voice_reply,
)
from wechatpy import replies

HEAD = (
    "<ToUserName><![CDATA[gh_0123456789ab]]></ToUserName>"
    "<FromUserName><![CDATA[oABCDEFGHIJKLMNOPQRSTUVWXYZ0]]></FromUserName>"
    "<CreateTime>1767225600</CreateTime>"
)
NAMES = {"to_user": "oABCDEFGHIJKLMNOPQRSTUVWXYZ0", "from_user": "gh_0123456789ab"}


def push(kind: str, body: str) -> bytes:
    return f"<xml>{HEAD}<MsgType><![CDATA[{kind}]]></MsgType>{body}</xml>".encode()


def cdata(**fields: str) -> str:
    return "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in fields.items())


def event(name: str, body: str = "") -> bytes:
    return push("event", cdata(Event=name) + body)


MESSAGES = {
    "text": push("text", cdata(Content="明天杭州天气?") + "<MsgId>24100000000000001</MsgId>"),
    "menu": push(
        "text",
        cdata(Content="满意") + "<MsgId>24100000000000002</MsgId><bizmsgmenuid>101</bizmsgmenuid>",
    ),
    "image": push(
        "image",
        cdata(PicUrl="http://cdn.sim.local/p/1.jpg", MediaId="M_img_1")
        + "<MsgId>24100000000000003</MsgId>",
    ),
    "voice": push(
        "voice",
        cdata(MediaId="M_v8", Format="amr", Recognition="", MediaId16K="M_v16")
        + "<MsgId>24100000000000004</MsgId>",
    ),
    "video": push(
        "video",
        cdata(MediaId="M_vid", ThumbMediaId="M_th") + "<MsgId>24100000000000005</MsgId>",
    ),
    "shortvideo": push(
        "shortvideo",
        cdata(MediaId="M_sv", ThumbMediaId="M_th2") + "<MsgId>24100000000000006</MsgId>",
    ),
    "location": push(
        "location",
        "<Location_X>30.27</Location_X><Location_Y>120.15</Location_Y><Scale>16</Scale>"
        + cdata(Label="西湖")
        + "<MsgId>24100000000000007</MsgId>",
    ),
    "link": push(
        "link",
        cdata(Title="标题", Description="摘要", Url="https://a.example/x")
        + "<MsgId>24100000000000008</MsgId>",
    ),
    "miniprogrampage": push(
        "miniprogrampage",
        cdata(
            Title="卡片",
            AppId="wx1234567890abcdef",
            PagePath="pages/a?id=1",
            ThumbUrl="http://cdn.sim.local/t.jpg",
            ThumbMediaId="M_th3",
        )
        + "<MsgId>24100000000000009</MsgId>",
    ),
}
EVENTS = {
    "subscribe": event("subscribe", cdata(EventKey="qrscene_inv42", Ticket="TK1")),
    "plain subscribe": event("subscribe"),
    "unsubscribe": event("unsubscribe", cdata(EventKey="")),
    "SCAN": event("SCAN", cdata(EventKey="inv42", Ticket="TK1")),
    "LOCATION": event(
        "LOCATION",
        "<Latitude>30.27</Latitude><Longitude>120.15</Longitude><Precision>65.0</Precision>",
    ),
    "CLICK": event("CLICK", cdata(EventKey="BTN_HELP")),
    "VIEW": event("VIEW", cdata(EventKey="https://a.example/") + "<MenuId>400000001</MenuId>"),
    "scancode_waitmsg": event(
        "scancode_waitmsg",
        cdata(EventKey="SC")
        + f"<ScanCodeInfo>{cdata(ScanType='qrcode', ScanResult='abc')}</ScanCodeInfo>",
    ),
    "TEMPLATESENDJOBFINISH": event(
        "TEMPLATESENDJOBFINISH", "<MsgID>300000001</MsgID>" + cdata(Status="success")
    ),
    "kf_create_session": event("kf_create_session", cdata(KfAccount="kf01@demo")),
    "kf_switch_session": event(
        "kf_switch_session", cdata(FromKfAccount="kf01@demo", ToKfAccount="kf02@demo")
    ),
    "user_enter_tempsession": event("user_enter_tempsession", cdata(SessionFrom="home_button")),
}


def facts(message: Message) -> dict[str, Any]:
    """What wechatpy has an attribute for, under its names."""
    match message:
        case TextMessage():
            return {"content": message.content}
        case ImageMessage():
            return {"image": message.picture_url, "media_id": message.media_id}
        case VoiceMessage():
            return {"media_id": message.media_id, "format": message.format}
        case VideoMessage():
            return {"media_id": message.media_id, "thumb_media_id": message.thumb_media_id}
        case LocationMessage():
            return {
                "location_x": str(message.latitude),
                "location_y": str(message.longitude),
                "scale": str(message.scale),
                "label": message.label,
            }
        case LinkMessage():
            return {"title": message.title, "description": message.description, "url": message.url}
        case MiniProgramPageMessage():
            return {
                "title": message.title,
                "app_id": message.appid,
                "page_path": message.page_path,
                "thumb_url": message.thumb_url,
                "thumb_media_id": message.thumb_media_id,
            }
        case _:
            raise AssertionError(message)


def agree_on_the_head(theirs, ours: Message) -> None:
    assert (theirs.source, theirs.target) == (ours.from_user, ours.to_user)
    # Of an event that reports on a job it takes the job's id for the message's.
    assert str(theirs.id or "") in {ours.msgid, ours.fields.get("MsgID"), "0"}
    assert theirs.create_time.timestamp() == ours.created


@pytest.mark.parametrize("name", MESSAGES)
def test_every_sample_of_a_message_is_read_alike(name):
    body = MESSAGES[name]
    theirs, ours = wechatpy.parse_message(body.decode()), parse_message(body)

    agree_on_the_head(theirs, ours)
    assert not isinstance(ours, UnknownMessage | PlatformEvent)
    for attribute, value in facts(ours).items():
        assert str(getattr(theirs, attribute, theirs._data.get(attribute, value)) or "") == value
    assert ours.fields == {}


@pytest.mark.parametrize("name", EVENTS)
def test_every_sample_of_an_event_is_read_alike(name):
    body = EVENTS[name]
    theirs, ours = wechatpy.parse_message(body.decode()), parse_message(body)

    agree_on_the_head(theirs, ours)
    assert isinstance(ours, PlatformEvent)
    read = {key: value for key, value in theirs._data.items() if not isinstance(value, dict)}
    # It gives a follow by QR code a name of its own, and its scene without the prefix.
    assert read["Event"].removesuffix("_scan") == ours.original_name
    assert (read.get("EventKey") or "") == ours.event_key.removeprefix("qrscene_")
    assert (read.get("Ticket") or "") == ours.ticket
    for key, value in ours.fields.items():
        outer, _, inner = key.partition(".")
        found = theirs._data[outer][inner] if inner else theirs._data[outer]
        assert found == value


def tree(xml: bytes) -> Any:
    """A document as nested lists, but for the second it was made in."""

    def part(element: ElementTree.Element) -> Any:
        children = [part(child) for child in element if child.tag != "CreateTime"]
        return element.tag, children or (element.text or "")

    name, children = part(ElementTree.fromstring(xml))  # noqa: S314 - our own bytes
    return name, sorted(children, key=str)


THEIR_NAMES = {"source": NAMES["from_user"], "target": NAMES["to_user"]}
OURS = {"to_user": NAMES["to_user"], "from_user": NAMES["from_user"], "created": 1767225601}


def their_news() -> replies.BaseReply:
    reply = replies.ArticlesReply(**THEIR_NAMES)
    card = {"title": "题", "description": "摘", "image": "http://p", "url": "https://a.example"}
    reply.add_article(card)
    return reply


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            text_reply(**OURS, content="收到 <&> 好"),
            replies.TextReply(content="收到 <&> 好", **THEIR_NAMES),
        ),
        (image_reply(**OURS, media_id="M"), replies.ImageReply(media_id="M", **THEIR_NAMES)),
        (voice_reply(**OURS, media_id="M"), replies.VoiceReply(media_id="M", **THEIR_NAMES)),
        (
            news_reply(
                **OURS,
                title="题",
                description="摘",
                picture_url="http://p",
                url="https://a.example",
            ),
            their_news(),
        ),
        (transfer_reply(**OURS), replies.TransferCustomerServiceReply(**THEIR_NAMES)),
    ],
    ids=["text", "image", "voice", "news", "transfer"],
)
def test_every_form_of_a_reply_is_the_one_that_wechatpy_writes(ours, theirs):
    assert tree(ours) == tree(theirs.render().encode())


def test_an_agent_to_be_transferred_to_is_named_as_documented():
    """wechatpy knows of none."""
    reply = transfer_reply(**OURS, kf_account="kf01@demo")

    assert ("TransInfo", [("KfAccount", "kf01@demo")]) in tree(reply)[1]


def test_a_transfer_in_json_says_what_the_one_in_xml_says():
    as_json = json.loads(transfer_reply_json(**OURS))
    as_xml = {child.tag: child.text for child in ElementTree.fromstring(transfer_reply(**OURS))}  # noqa: S314

    assert {key: str(value) for key, value in as_json.items()} == as_xml
