"""What customers of WeChat Customer Service say, as the events the services speak of. Pure.

Source: protocol reference 10.3. Only what a customer sent and what happens to a conversation is of
interest; what people of the account say is not.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import structs
from queqiao_common.events import InboundMessage, Media
from queqiao_common.ids import conversation_id
from queqiao_wechat.kf_client import CUSTOMER, Item

PUBLISHED_EVENTS = frozenset({"enter_session", "session_status_change"})
"""The events that somebody further down acts on."""
SEND_FAILED = "msg_send_fail"


def inbound(item: Item, *, account: str, pepper: str, now_ms: int) -> InboundMessage | None:
    """Return the event that says what an item says; None for what nobody acts on."""
    if not item.msgid or not item.external_userid:
        return None
    event = InboundMessage(
        id=f"wx:{account}:{item.msgid}",
        account=account,
        conv=conversation_id(pepper=pepper, account=account, openid=item.external_userid),
        openid=item.external_userid,
        msgid=item.msgid,
        received_ms=min(item.send_time * 1000, now_ms) or now_ms,
        sent_ms=item.send_time * 1000,
        kind="unsupported",
        msg_type=item.msgtype,
        peer=item.open_kfid,
    )
    if item.msgtype == "event":
        return _platform_event(event, item.part("event"))
    return _said(event, item) if item.origin == CUSTOMER else None


def failure_of(item: Item) -> tuple[str, int] | None:
    """Return the message that did not arrive after all, and why; None for any other item."""
    body = item.part("event")
    if item.msgtype != "event" or body.get("event_type") != SEND_FAILED:
        return None
    fail_type = body.get("fail_type")
    return str(body.get("fail_msgid", "")), fail_type if isinstance(fail_type, int) else 0


def _platform_event(event: InboundMessage, body: Mapping[str, Any]) -> InboundMessage | None:
    name = body.get("event_type")
    if name not in PUBLISHED_EVENTS:
        return None
    has_entered = name == "enter_session"
    return structs.replace(
        event,
        kind="platform_event",
        platform_event=name,
        trigger="enter" if has_entered else "none",
        scene=_word(body, "scene_param") or _word(body, "scene"),
        ticket=_word(body, "welcome_code") if has_entered else "",
        details={
            key: str(value)
            for key, value in body.items()
            if isinstance(value, str | int) and key != "welcome_code"
        },
    )


def _said(event: InboundMessage, item: Item) -> InboundMessage:
    body = item.part(item.msgtype)
    if item.msgtype in ("image", "voice", "video"):
        media_id, form = _word(body, "media_id"), "amr" if item.msgtype == "voice" else ""
        media = Media(kind=item.msgtype, media_id=media_id, format=form)
        return structs.replace(event, media=(media,) if media_id else ())
    say = WORDS.get(item.msgtype)
    text = say(body) if say else ""
    if not text.strip():
        return event
    return structs.replace(event, kind="text", text=text, menu_id=_word(body, "menu_id"))


def _location(body: Mapping[str, Any]) -> str:
    place = " ".join(filter(None, (_word(body, "name"), _word(body, "address"))))
    return f"[位置] {place}（纬度 {_word(body, 'latitude')}，经度 {_word(body, 'longitude')}）"


def _link(body: Mapping[str, Any]) -> str:
    more = (_word(body, "desc"), _word(body, "url"))
    return "\n".join(filter(None, (f"[链接] {_word(body, 'title')}".rstrip(), *more)))


def _page(body: Mapping[str, Any]) -> str:
    return "\n".join(
        filter(None, (f"[小程序页面] {_word(body, 'title')}".rstrip(), _word(body, "pagepath")))
    )


WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = MappingProxyType(
    {
        "text": lambda body: _word(body, "content"),
        "location": _location,
        "link": _link,
        "miniprogram": _page,
    }
)
"""How what is no text is said to a model, by its type."""


def _word(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, str | int) else ""
