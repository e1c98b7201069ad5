"""What the platform makes of an AI bot's answer. Pure, but for the decryption it is given.

Source: protocol reference 10.2.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from queqiao_simulator.answers import Ack, Answer, Decrypt, Invalid, Reply

Asked: TypeAlias = Literal["message", "stream", "enter_chat", "template_card_event", "feedback"]
IMAGES = 10
IMAGE_LIMIT_BYTES = 10 << 20
FEEDBACK_LIMIT_BYTES = 256

ALLOWED: Mapping[Asked, frozenset[str]] = {
    "message": frozenset({"stream", "template_card", "stream_with_template_card"}),
    "stream": frozenset({"stream", "stream_with_template_card"}),
    "enter_chat": frozenset({"text", "template_card"}),
    "template_card_event": frozenset({"update_template_card"}),
    "feedback": frozenset(),
}


class _Image(Struct):
    base64: str
    md5: str


class _Item(Struct):
    msgtype: Literal["image"]
    image: _Image


class _Feedback(Struct):
    id: str = ""


class _Stream(Struct):
    id: str
    finish: bool = False
    content: str = ""
    msg_item: list[_Item] = field(default_factory=list)
    feedback: _Feedback | None = None


class _Text(Struct):
    content: str


def judge(body: bytes, asked: Asked, decrypt: Decrypt | None, limit_bytes: int) -> Answer:
    """Judge the body of a 200 answer to a push that `asked` for something."""
    bare = body.strip()
    if bare in (b"", b"success"):
        return Ack(bare.decode())
    try:
        envelope = msgspec.json.decode(bare, type=dict[str, Any])
        if decrypt is None or "encrypt" not in envelope:
            return Invalid("the answer is not encrypted")
        answer = msgspec.json.decode(decrypt(envelope), type=dict[str, Any])
        return _judged(answer, asked, limit_bytes)
    except msgspec.DecodeError as error:
        return Invalid(f"malformed JSON: {error}")
    except ValueError as error:
        return Invalid(str(error))


def _judged(answer: dict[str, Any], asked: Asked, limit_bytes: int) -> Answer:
    kind = answer.get("msgtype")
    if kind not in ALLOWED[asked]:
        return Invalid(f"msgtype {kind!r} cannot answer a {asked}")
    match kind:
        case "stream" | "stream_with_template_card":
            return _stream(answer, asked, limit_bytes)
        case "text":
            text = msgspec.convert(answer.get("text"), _Text).content
            return Reply("text", text) if text else Invalid("text.content is empty")
        case _:
            return _card(answer)


def _card(answer: dict[str, Any]) -> Answer:
    card = answer.get("template_card")
    if not isinstance(card, dict) or not card.get("card_type"):
        return Invalid("template_card.card_type is missing")
    title = (card.get("main_title") or {}).get("title", "")
    return Reply("template_card", str(title), {"card": card})


def _stream(answer: dict[str, Any], asked: Asked, limit_bytes: int) -> Answer:
    stream = msgspec.convert(answer.get("stream"), _Stream)
    if reason := _wrong(stream, asked, limit_bytes):
        return Invalid(reason)
    content: dict[str, Any] = {"stream": stream.id, "finish": stream.finish}
    if stream.msg_item:
        content["images"] = [item.image.base64 for item in stream.msg_item]
    if isinstance(card := answer.get("template_card"), dict):
        content["card"] = card
    if stream.feedback:
        content["feedback"] = stream.feedback.id
    return Reply("stream", stream.content, content)


def _wrong(stream: _Stream, asked: Asked, limit_bytes: int) -> str:
    size = len(stream.content.encode())
    if not stream.id:
        return "stream.id is empty"
    if size > limit_bytes:
        return f"stream.content has {size} bytes, more than {limit_bytes}"
    if stream.msg_item and not stream.finish:
        return "stream.msg_item needs finish=true"
    if len(stream.msg_item) > IMAGES:
        return f"stream.msg_item has {len(stream.msg_item)} images, more than {IMAGES}"
    if stream.feedback and (asked == "stream" or len(stream.feedback.id) > FEEDBACK_LIMIT_BYTES):
        return "stream.feedback belongs to the first answer, with an id of at most 256 bytes"
    return next(filter(None, (_wrong_image(item.image) for item in stream.msg_item)), "")


def _wrong_image(image: _Image) -> str:
    try:
        body = base64.b64decode(image.base64, validate=True)
    except binascii.Error:
        return "an image of stream.msg_item is not base64"
    if not body.startswith((b"\xff\xd8\xff", b"\x89PNG")) or len(body) > IMAGE_LIMIT_BYTES:
        return "an image of stream.msg_item is not a JPG or PNG of at most 10 MB"
    if hashlib.md5(body, usedforsecurity=False).hexdigest() != image.md5.lower():
        return "the md5 of an image does not match"
    return ""
