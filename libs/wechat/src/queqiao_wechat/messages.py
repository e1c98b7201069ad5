"""What WeChat pushes: messages of users and events of the platform (protocol reference 3).

Parsing is liberal. Unknown fields are kept or ignored, a number that is none reads as zero, an
unknown type is an `UnknownMessage`: WeChat adds all of these without notice.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, TypedDict

import msgspec
from msgspec import Struct

from queqiao_wechat.fields import MessageError, parse_fields

__all__ = [
    "ImageMessage",
    "LinkMessage",
    "LocationMessage",
    "Message",
    "MessageError",
    "MiniProgramPageMessage",
    "PlatformEvent",
    "TextMessage",
    "Trigger",
    "UnknownMessage",
    "VideoMessage",
    "VoiceMessage",
    "dedupe_key",
    "parse_message",
    "trigger_of",
]

Trigger: TypeAlias = Literal["message", "menu", "subscribe", "scan", "enter", "none"]
"""What opens a quota of customer-service messages (protocol reference 6.1)."""


class Inbound(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every push carries.

    `to_user` is the account's original id (`gh_...`; WeCom: the CorpID), `from_user` the openid
    (WeCom: the UserID; empty for an event that names nobody), `created` whole seconds since 1970 by
    WeChat's clock. `msgid` is empty for events, which have none. `fields` are those of the push
    that no attribute holds: what this version does not know, under WeChat's names.
    """

    to_user: str
    from_user: str
    created: int
    msgid: str = ""
    fields: dict[str, str] = {}


class TextMessage(Inbound, tag="text", frozen=True, kw_only=True):
    """A text. `menu_id` is set when the user tapped an item of a msgmenu instead of typing."""

    content: str
    menu_id: str = ""


class ImageMessage(Inbound, tag="image", frozen=True, kw_only=True):
    """A picture; `media_id` lives three days, `picture_url` longer."""

    media_id: str
    picture_url: str = ""


class VoiceMessage(Inbound, tag="voice", frozen=True, kw_only=True):
    """A voice message, at 8 kHz and, where WeChat offers it, at 16 kHz.

    `recognition` was WeChat's transcript. The service has ended: expect it to be empty.
    """

    media_id: str
    media_id_16k: str = ""
    format: str = ""
    recognition: str = ""


class VideoMessage(Inbound, tag="video", frozen=True, kw_only=True):
    """A video; `short` if it was filmed inside the chat (`shortvideo`)."""

    media_id: str
    thumb_media_id: str = ""
    short: bool = False


class LocationMessage(Inbound, tag="location", frozen=True, kw_only=True):
    """A place the user chose to send. Degrees, in the coordinates of WeChat's map (GCJ-02)."""

    latitude: float
    longitude: float
    scale: int = 0
    label: str = ""


class LinkMessage(Inbound, tag="link", frozen=True, kw_only=True):
    """A shared article or page; only WeCom sends a picture with it."""

    title: str
    description: str = ""
    url: str = ""
    picture_url: str = ""


class MiniProgramPageMessage(Inbound, tag="miniprogrampage", frozen=True, kw_only=True):
    """A shared page of a Mini Program."""

    title: str
    appid: str = ""
    page_path: str = ""
    thumb_url: str = ""
    thumb_media_id: str = ""


class PlatformEvent(Inbound, tag="event", frozen=True, kw_only=True):
    """Something that happened in WeChat; what belongs to one event alone stands in `fields`.

    `name` is lowercase, since WeChat's own spelling varies; `original_name` is as received.
    """

    name: str
    original_name: str
    event_key: str = ""
    ticket: str = ""


class UnknownMessage(Inbound, tag="unknown", frozen=True, kw_only=True):
    """A message of a type that this version does not know, with all its other fields."""

    msg_type: str


Message: TypeAlias = (
    TextMessage
    | ImageMessage
    | VoiceMessage
    | VideoMessage
    | LocationMessage
    | LinkMessage
    | MiniProgramPageMessage
    | PlatformEvent
    | UnknownMessage
)


class _Common(TypedDict):
    to_user: str
    from_user: str
    created: int
    msgid: str
    fields: dict[str, str]


_Fields: TypeAlias = Mapping[str, str]
_COMMON_NAMES = frozenset(
    {"ToUserName", "FromUserName", "CreateTime", "MsgType", "MsgId", "Encrypt"}
)
_KEY_HEX_DIGITS = 32  # 128 bits


def parse_message(body: bytes) -> Message:
    """Read a push in plain text, XML or JSON.

    Raises:
        MessageError: the body is not well-formed (see `parse_fields`), or lacks `ToUserName`,
            `MsgType` or, unless it is an event, `FromUserName`.
    """
    fields = parse_fields(body)
    kind = fields.get("MsgType", "").strip().lower()
    for name in ("ToUserName", "MsgType", *(["FromUserName"] if kind != "event" else [])):
        if not fields.get(name, "").strip():
            raise MessageError(f"body has no {name}")
    known, parse = _PARSERS.get(kind, _UNKNOWN)
    common = _Common(
        to_user=fields["ToUserName"].strip(),
        from_user=fields.get("FromUserName", "").strip(),
        created=_whole(fields.get("CreateTime", "")),
        msgid=fields.get("MsgId", "").strip(),
        fields=_without(fields, _COMMON_NAMES | known),
    )
    return parse(common, fields)


def dedupe_key(message: Message) -> str:
    """Return the same key for every delivery of one push: `m_` or `e_` and 32 hex digits.

    A message is known by its sender and msgid (the msgid alone has been seen to repeat between
    users), an event by sender, second, name and event key, and by the id of the job it reports on
    where it has one. The key is legal in a subject and a KV key, and no openid can be read in it.
    The caller adds the account.
    """
    match message:
        case PlatformEvent():
            job = [message.fields.get(name, "") for name in ("MsgID", "trace_id")]
            name, event_key = message.name, message.event_key
            return "e_" + _digest(message.from_user, message.created, name, event_key, *job)
        case _ if message.msgid:
            return "m_" + _digest(message.from_user, message.msgid)
        case _:
            # Without a msgid only the whole message can tell it from the sender's others.
            return "m_" + _digest(message.from_user, repr(message))


def trigger_of(message: Message) -> Trigger:
    """Tell which quota of customer-service messages this opens.

    A tap on a msgmenu item arrives as a text, but counts as a menu click.
    """
    match message:
        case TextMessage(menu_id=menu_id) if menu_id:
            return "menu"
        case PlatformEvent(name=name):
            return _EVENT_TRIGGERS.get(name, "none")
        case _:
            return "message"


def _text(common: _Common, fields: _Fields) -> Message:
    menu_id = fields.get("bizmsgmenuid", "").strip()
    return TextMessage(**common, content=fields.get("Content", ""), menu_id=menu_id)


def _image(common: _Common, fields: _Fields) -> Message:
    return ImageMessage(
        **common, media_id=fields.get("MediaId", ""), picture_url=fields.get("PicUrl", "")
    )


def _voice(common: _Common, fields: _Fields) -> Message:
    return VoiceMessage(
        **common,
        media_id=fields.get("MediaId", ""),
        media_id_16k=fields.get("MediaId16K", ""),
        format=fields.get("Format", ""),
        recognition=fields.get("Recognition", ""),
    )


def _video(common: _Common, fields: _Fields) -> Message:
    return VideoMessage(
        **common,
        media_id=fields.get("MediaId", ""),
        thumb_media_id=fields.get("ThumbMediaId", ""),
        short=fields["MsgType"].strip().lower() == "shortvideo",
    )


def _location(common: _Common, fields: _Fields) -> Message:
    return LocationMessage(
        **common,
        latitude=_decimal(fields.get("Location_X", "")),
        longitude=_decimal(fields.get("Location_Y", "")),
        scale=_whole(fields.get("Scale", "")),
        label=fields.get("Label", ""),
    )


def _link(common: _Common, fields: _Fields) -> Message:
    return LinkMessage(
        **common,
        title=fields.get("Title", ""),
        description=fields.get("Description", ""),
        url=fields.get("Url", ""),
        picture_url=fields.get("PicUrl", ""),
    )


def _mini_program_page(common: _Common, fields: _Fields) -> Message:
    return MiniProgramPageMessage(
        **common,
        title=fields.get("Title", ""),
        appid=fields.get("AppId", ""),
        page_path=fields.get("PagePath", ""),
        thumb_url=fields.get("ThumbUrl", ""),
        thumb_media_id=fields.get("ThumbMediaId", ""),
    )


def _event(common: _Common, fields: _Fields) -> Message:
    original_name = fields.get("Event", "").strip()
    return PlatformEvent(
        **common,
        name=original_name.lower(),
        original_name=original_name,
        event_key=fields.get("EventKey", ""),
        ticket=fields.get("Ticket", ""),
    )


def _unknown(common: _Common, fields: _Fields) -> Message:
    return UnknownMessage(**common, msg_type=fields["MsgType"].strip())


_Parser: TypeAlias = tuple[frozenset[str], Callable[[_Common, _Fields], Message]]
_VIDEO: _Parser = (frozenset({"MediaId", "ThumbMediaId"}), _video)
_UNKNOWN: _Parser = (frozenset(), _unknown)
_PARSERS: Mapping[str, _Parser] = {
    "text": (frozenset({"Content", "bizmsgmenuid"}), _text),
    "image": (frozenset({"MediaId", "PicUrl"}), _image),
    "voice": (frozenset({"MediaId", "MediaId16K", "Format", "Recognition"}), _voice),
    "video": _VIDEO,
    "shortvideo": _VIDEO,
    "location": (frozenset({"Location_X", "Location_Y", "Scale", "Label"}), _location),
    "link": (frozenset({"Title", "Description", "Url", "PicUrl"}), _link),
    "miniprogrampage": (
        frozenset({"Title", "AppId", "PagePath", "ThumbUrl", "ThumbMediaId"}),
        _mini_program_page,
    ),
    "event": (frozenset({"Event", "EventKey", "Ticket"}), _event),
}
"""By type: the fields that its attributes hold, and how it is read."""
_EVENT_TRIGGERS: Mapping[str, Trigger] = {
    "click": "menu",
    "scancode_push": "menu",
    "scancode_waitmsg": "menu",
    "subscribe": "subscribe",
    "scan": "scan",
    "user_enter_tempsession": "enter",
}


def _without(fields: _Fields, names: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name not in names}


def _whole(text: str) -> int:
    """Read a whole number that 64 bits can hold; anything else is 0."""
    try:
        number = int(text)
    except ValueError:
        return 0
    return number if 0 <= number < 1 << 63 else 0


def _decimal(text: str) -> float:
    """Read a finite number; anything else is 0.0 (JSON, which it travels in, has no NaN)."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _digest(*parts: str | int) -> str:
    # As JSON, so that no two lists of parts read the same when joined.
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:_KEY_HEX_DIGITS]
