"""The samples of the protocol reference (3), read by us and by an implementation widely used.

And the other way round: what we reply is what it would, and what it reads of us.
"""

import json
import xml.etree.ElementTree as ElementTree
from functools import reduce
from operator import getitem
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

from libs.wechat.tests import samples

HEAD = (
    "<ToUserName><![CDATA[gh_0123456789ab]]></ToUserName>"
    "<FromUserName><![CDATA[oABCDEFGHIJKLMNOPQRSTUVWXYZ0]]></FromUserName>"
    "<CreateTime>1767225600</CreateTime>"
)
NAMES = {"to_user": "oABCDEFGHIJKLMNOPQRSTUVWXYZ0", "from_user": "gh_0123456789ab"}


def push(kind: str, body: str) -> bytes:
    return f"<xml>{HEAD}<MsgType><![CDATA[{kind}]]></MsgType>{body}</xml>".encode()


def message(name: str) -> bytes:
    body = samples.MESSAGES[name] + "<MsgId>24100000000000001</MsgId>"
    return push(samples.TYPES.get(name, name), body)


def event(name: str) -> bytes:
    return push("event", samples.cdata(Event=name) + samples.EVENTS[name])


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


@pytest.mark.parametrize("name", samples.MESSAGES)
def test_every_sample_of_a_message_is_read_alike(name):
    body = message(name)
    theirs, ours = wechatpy.parse_message(body.decode()), parse_message(body)

    agree_on_the_head(theirs, ours)
    assert not isinstance(ours, UnknownMessage | PlatformEvent)
    for attribute, value in facts(ours).items():
        assert str(getattr(theirs, attribute, theirs._data.get(attribute, value)) or "") == value
    assert ours.fields == {}


@pytest.mark.parametrize("name", samples.EVENTS)
def test_every_sample_of_an_event_is_read_alike(name):
    body = event(name)
    theirs, ours = wechatpy.parse_message(body.decode()), parse_message(body)

    agree_on_the_head(theirs, ours)
    assert isinstance(ours, PlatformEvent)
    read = {key: value for key, value in theirs._data.items() if not isinstance(value, dict)}
    # It gives a follow by QR code a name of its own, and its scene without the prefix.
    assert read["Event"].removesuffix("_scan") == ours.original_name
    assert (read.get("EventKey") or "") == ours.event_key.removeprefix("qrscene_")
    assert (read.get("Ticket") or "") == ours.ticket
    for key, value in ours.fields.items():
        assert (reduce(getitem, key.split("."), theirs._data) or "") == value


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
