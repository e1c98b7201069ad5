"""Every type and event that WeChat documents, at the door of every kind of account, as a table.

`python -m services.ingress.tests.matrix` writes it into `docs/wechat.md`; a test compares the two.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from queqiao_common.events import InboundMessage
from queqiao_common.settings import Rule
from queqiao_ingress.callback import Callback, Door, Hold, Ignore, Poll, Publish, Say
from queqiao_ingress.doors import open_doors

from services.ingress.tests import wechat, wecom

PAGE = Path(__file__).parents[3] / "docs" / "wechat.md"
BEGIN, END = "<!-- begin: what comes in -->", "<!-- end: what comes in -->"
NOW_MS = 1_767_225_600_500
KINDS = ("subscription", "service", "miniprogram", "wecom")

MEDIA = "<MediaId>M</MediaId>"
KEY = "<EventKey>K</EventKey>"
MESSAGES: Mapping[str, str] = {
    "text": "<Content>你好</Content>",
    "image": MEDIA,
    "voice": MEDIA,
    "video": MEDIA,
    "shortvideo": MEDIA,
    "location": "<Location_X>30.2</Location_X><Location_Y>120.1</Location_Y>",
    "link": "<Title>题</Title>",
    "miniprogrampage": "<Title>题</Title>",
    "any other type": "<Other>1</Other>",
}
EVENTS: Mapping[str, str] = {
    "subscribe": "",
    "subscribe (by QR code)": "<EventKey>qrscene_K</EventKey>",
    "unsubscribe": "",
    "SCAN": KEY,
    "CLICK": KEY,
    "VIEW": KEY,
    "view_miniprogram": KEY,
    "LOCATION": "<Latitude>30.2</Latitude>",
    "scancode_push": KEY,
    "scancode_waitmsg": KEY,
    "pic_sysphoto": KEY,
    "pic_photo_or_album": KEY,
    "pic_weixin": KEY,
    "location_select": KEY,
    "TEMPLATESENDJOBFINISH": "<MsgID>1</MsgID>",
    "MASSSENDJOBFINISH": "<MsgID>1</MsgID>",
    "subscribe_msg_popup_event": "",
    "subscribe_msg_change_event": "",
    "subscribe_msg_sent_event": "",
    "kf_create_session": "",
    "kf_close_session": "",
    "kf_switch_session": "",
    "user_enter_tempsession": "<SessionFrom>K</SessionFrom>",
    "wxa_media_check": "",
    "user_info_modified": "<OpenID>o1</OpenID>",
    "user_authorization_revoke": "<OpenID>o1</OpenID>",
    "enter_agent": "",
    "any other event": "",
}
BOT: Mapping[str, dict[str, Any]] = {
    "text": {},
    "mixed": {"mixed": {"msg_item": [{"msgtype": "image", "image": {"url": "https://a.example"}}]}},
    "image": {"image": {"url": "https://a.example"}},
    "voice": {"voice": {"content": "听写"}},
    "file": {"file": {"url": "https://a.example"}},
    "any other type": {"other": 1},
    "stream (a poll)": {"msgtype": "stream", "stream": {"id": "m_" + "0" * 32}},
    "event enter_chat": {"msgtype": "event", "event": {"eventtype": "enter_chat"}},
    "event template_card_event": {"msgtype": "event", "event": {"eventtype": "card"}},
    "event feedback_event": {"msgtype": "event", "event": {"eventtype": "feedback_event"}},
}


def table() -> str:
    """Return all tables, as Markdown."""
    lines = ["| | " + " | ".join(f"`{kind}`" for kind in KINDS) + " |", "|---" * 5 + "|"]
    doors = {kind: _door(kind) for kind in KINDS}
    for rows, make in ((MESSAGES, _message), (EVENTS, _event)):
        for name, fields in rows.items():
            cells = [said(_admitted(kind, doors[kind], make(name, fields))) for kind in KINDS]
            lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    lines += ["", "| AI bot (`wecom_bot`) | |", "|---|---|"]
    for name, more in BOT.items():
        push = wecom.message(msgtype=name.partition(" ")[0]) | more
        if name != "text":
            push.pop("text")
        callback = wecom.admit(wecom.door("wecom_bot"), wecom.to_bot(push))
        lines.append(f"| `{name}` | {said(callback)} |")
    lines += ["", "| Customer Service (`wecom_kf`) | |", "|---|---|"]
    other = wecom.announcement().replace(b"kf_msg_or_event", b"another")
    for name, plain in (("kf_msg_or_event", wecom.announcement()), ("any other event", other)):
        callback = wecom.admit(wecom.door("wecom_kf"), wecom.sealed(plain))
        lines.append(f"| `{name}` | {said(callback)} |")
    return "\n".join(lines)


def said(callback: Callback) -> str:
    """Say in a few words what becomes of a callback."""
    match callback.purpose:
        case Ignore():
            return "acknowledged"
        case Say():
            return "the welcome"
        case Poll():
            return "the answer so far"
        case Publish(event=event) if not isinstance(event, InboundMessage):
            return "pulled"
    message = callback.message
    assert message is not None
    held = ", held" if isinstance(callback.purpose, Hold) else ""
    return _what(message) + (held if callback.takes_text else held and ", held for a hand-over")


def _what(message: InboundMessage) -> str:
    if message.kind == "platform_event":
        return "acted on"
    if message.media:
        return message.media[0].kind
    return "question" if message.kind == "text" else "a word that we do not understand it"


def _door(kind: str) -> Door:
    account = wecom.account() if kind == "wecom" else wechat.account(kind=kind)
    rules = tuple(Rule(on=on, reply="好") for on in ("click", "scan", "enter"))
    return open_doors(wechat.replaced(wechat.config(account), rules=rules))["main"]


def _admitted(kind: str, door: Door, body: bytes) -> Callback:
    query = wechat.signed()
    if kind == "wecom":
        query, body = wecom.sealed(body)
    elif kind == "miniprogram":
        body = _as_json(body)
    return door.admit(query, body, received_ms=NOW_MS)


def _as_json(body: bytes) -> bytes:
    return json.dumps({one.tag: one.text or "" for one in ElementTree.fromstring(body)}).encode()  # noqa: S314 - our own bytes


def _message(name: str, fields: str) -> bytes:
    return wechat.xml(fields, kind="hologram" if name.startswith("any") else name)


def _event(name: str, fields: str) -> bytes:
    return wechat.event("brand_new" if name.startswith("any") else name.partition(" ")[0], fields)


def written(page: str) -> str:
    """Return the page with the tables in their place."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
