"""A WeCom AI bot (智能机器人) in callback mode: what it is sent, and what it may answer.

Everything is JSON, encrypted with an empty receiver. The answer to a message is a stream that the
platform asks for again and again; each answer replaces the text shown.

Source: protocol reference 10.2.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias, TypedDict

import msgspec
from msgspec import Struct

from queqiao_wechat.crypto import Cipher
from queqiao_wechat.fields import MessageError, parse_fields
from queqiao_wechat.signature import sign
from queqiao_wechat.text import clean_text

MAX_ITEMS = 20
"""Parts of a mixed message that are read; the client offers far fewer."""
_MENTION = re.compile(r"^@\S+[\s\u2005]+(?=\S)")
_KEY_HEX_DIGITS = 32  # 128 bits
_MEDIA_TYPES: tuple[Literal["image", "file", "video"], ...] = ("image", "file", "video")
_OBJECTS = ("text", "mixed", "voice", *_MEDIA_TYPES, "quote")
_NAMES = ("msgid", "aibotid", "chatid", "chattype", "from", "msgtype", "response_url")


class BotMedia(Struct, frozen=True):
    """A picture, file or video: encrypted under the callback's key, and gone after 5 minutes."""

    kind: Literal["image", "file", "video"]
    url: str


class _Push(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every push carries; `chat_id` is empty in a single chat.

    `fields` are those of the push that no attribute holds.
    """

    msgid: str
    user_id: str
    bot_id: str = ""
    chat_id: str = ""
    fields: dict[str, str] = {}


class BotMessage(_Push, tag="message", frozen=True, kw_only=True):
    """What a user wrote to the bot, without the mention of the bot in front of it.

    `text` of a voice message is the platform's transcript. `quoted` is the text of the message it
    answers. `response_url` takes one message more, within an hour.
    """

    msg_type: str
    text: str = ""
    quoted: str = ""
    media: tuple[BotMedia, ...] = ()
    response_url: str = ""


class BotPoll(_Push, tag="poll", frozen=True, kw_only=True):
    """The platform asks for what there is of a stream."""

    stream_id: str


class BotEvent(_Push, tag="event", frozen=True, kw_only=True):
    """Something that happened: `enter_chat`, `template_card_event`, `feedback_event`."""

    name: str


BotPush: TypeAlias = BotMessage | BotPoll | BotEvent


class _Common(TypedDict):
    msgid: str
    user_id: str
    bot_id: str
    chat_id: str


def parse_bot_push(body: bytes) -> BotPush:
    """Read a decrypted callback.

    Raises:
        MessageError: the body is not well-formed (see `parse_fields`), has no `msgtype`, or is a
            message that names no user.
    """
    fields = parse_fields(body)
    kind = fields.get("msgtype", "").strip().lower()
    if not kind:
        raise MessageError("body has no msgtype")
    common = _Common(
        msgid=fields.get("msgid", "").strip(),
        user_id=fields.get("from.userid", "").strip(),
        bot_id=fields.get("aibotid", ""),
        chat_id=fields.get("chatid", "").strip() if fields.get("chattype") == "group" else "",
    )
    if kind == "stream":
        return BotPoll(**common, stream_id=fields.get("stream.id", ""))
    if kind == "event":
        name = fields.get("event.eventtype", "").strip().lower()
        return BotEvent(**common, fields=_others(fields), name=name)
    if not common["user_id"]:
        raise MessageError("body has no from.userid")
    return BotMessage(
        **common,
        fields=_others(fields, *_OBJECTS),
        msg_type=kind,
        text=_said(fields, kind, is_group=bool(common["chat_id"])),
        quoted="\n".join(_texts(fields, "quote.", fields.get("quote.msgtype", ""))),
        media=tuple(_media(fields, kind)),
        response_url=fields.get("response_url", ""),
    )


def bot_dedupe_key(message: BotMessage) -> str:
    """Return the same key for every delivery of a message: `m_` and 32 hex digits.

    It is legal in a subject, a KV key and a stream id, and no user can be read in it. The caller
    adds the account.
    """
    parts = (message.chat_id, message.user_id, message.msgid or repr(message))
    return "m_" + hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:_KEY_HEX_DIGITS]


def stream_answer(stream_id: str, content: str, *, is_final: bool) -> bytes:
    """Return what shows `content` in the place of all that was shown of the stream."""
    stream = {"id": stream_id, "finish": is_final, "content": clean_text(content)}
    return msgspec.json.encode({"msgtype": "stream", "stream": stream})


def welcome_answer(text: str) -> bytes:
    """Return the greeting that answers `enter_chat`, the only event that takes a text."""
    return msgspec.json.encode({"msgtype": "text", "text": {"content": clean_text(text)}})


def encrypt_bot_answer(
    cipher: Cipher, callback_token: str, answer: bytes, *, timestamp: int, nonce: str
) -> bytes:
    """Seal an answer; `timestamp` is our own clock in whole seconds, `nonce` the callback's."""
    encrypted = cipher.encrypt(answer)
    return msgspec.json.encode(
        {
            "encrypt": encrypted,
            "msgsignature": sign(callback_token, str(timestamp), nonce, encrypted),
            "timestamp": timestamp,
            "nonce": nonce,
        }
    )


def _said(fields: Mapping[str, str], kind: str, *, is_group: bool) -> str:
    text = "\n".join(_texts(fields, "", kind))
    return _MENTION.sub("", text) if is_group else text


def _texts(fields: Mapping[str, str], prefix: str, kind: str) -> Iterator[str]:
    """Yield the texts of a message, or of the one it quotes: `prefix` is where it stands."""
    if kind == "mixed":
        for item in _items(fields, prefix):
            yield from _texts(fields, item, fields.get(f"{item}msgtype", ""))
    elif kind in {"text", "voice"} and (text := fields.get(f"{prefix}{kind}.content", "")):
        yield text


def _media(fields: Mapping[str, str], kind: str) -> Iterator[BotMedia]:
    places = _items(fields, "") if kind == "mixed" else ("",)
    for place in places:
        for media in _MEDIA_TYPES:
            if url := fields.get(f"{place}{media}.url", ""):
                yield BotMedia(media, url)


def _items(fields: Mapping[str, str], prefix: str) -> Iterator[str]:
    """Yield where the parts of a mixed message stand, each with a dot at its end."""
    for number in range(MAX_ITEMS):
        at = f"{prefix}mixed.msg_item.{number}." if number else f"{prefix}mixed.msg_item."
        if f"{at}msgtype" not in fields:
            return
        yield at


def _others(fields: Mapping[str, str], *known: str) -> dict[str, str]:
    skipped = {*_NAMES, *known}
    return {key: value for key, value in fields.items() if key.partition(".")[0] not in skipped}
