"""What a customer-service call may say, and to whom. Pure.

Source: protocol reference 6.1 to 6.3, 13 (rules 11 and 12). Numbers are WeChat's errcodes.
"""

import re
from typing import Any

import msgspec
from msgspec import Struct, field

from queqiao_simulator.accounts import Conversation
from queqiao_simulator.settings import SendRules


class _MenuItem(Struct):
    content: str = ""


class _Menu(Struct):
    items: tuple[_MenuItem, ...] = field(name="list", default=())
    head_content: str = ""
    tail_content: str = ""


class _Article(Struct):
    title: str = ""
    url: str = ""


class _News(Struct):
    articles: tuple[_Article, ...] = ()


ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?!00[0-7])[0-9a-fA-F]{4}")


class Refused(Exception):  # noqa: N818 - WeChat refuses, nothing is wrong here
    """WeChat's answer is an errcode."""

    def __init__(self, errcode: int, why: str = "") -> None:
        super().__init__(errcode, why)
        self.errcode = errcode
        self.why = why


class Outgoing(Struct, frozen=True):
    """A customer-service message, as the user will see it."""

    kind: str
    text: str
    is_ai: bool


def decode(body: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        Refused: 44002 for an empty body, 47001 for anything but an object.
    """
    if not body:
        raise Refused(44002)
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Refused(47001) from error


def reachable(chat: Conversation | None) -> Conversation:
    """The receiver, when the platform lets messages through to it.

    Raises:
        Refused: 40003, 43019, 48002 or 70000.
    """
    if chat is None:
        raise Refused(40003)
    if chat.blacklisted:
        raise Refused(43019)
    if chat.refusing:
        raise Refused(48002)
    if chat.minor:
        raise Refused(70000)
    return chat


def outgoing(call: dict[str, Any], body: bytes, rules: SendRules) -> Outgoing:
    """Read the message of `/cgi-bin/message/custom/send`.

    Raises:
        Refused: 40008, 40033, 44004, 45002, 45008 or 47001.
    """
    kind = call.get("msgtype")
    if not isinstance(kind, str) or kind not in READERS:
        raise Refused(40008)
    content = call.get(kind)
    if not isinstance(content, dict):
        raise Refused(44004 if content is None else 47001)
    if rules.refuse_escapes and ESCAPE.search(body):
        raise Refused(40033, "send UTF-8, not \\u escapes")
    try:
        text = READERS[kind](content)
    except msgspec.ValidationError as error:
        raise Refused(47001, str(error)) from error
    size = len(text.encode())
    if kind == "text" and size > rules.text_limit_bytes:
        raise Refused(45002, f"{size} bytes, at most {rules.text_limit_bytes}")
    return Outgoing(kind, text, is_ai=_is_ai(call))


def typing(command: object, chat: Conversation, now: float, rules: SendRules) -> float:
    """When the typing state that this command sets will end (Unix seconds).

    Raises:
        Refused: 45072, 45080 or 45081.
    """
    if command == "CancelTyping":
        return now
    if command != "Typing":
        raise Refused(45072)
    if now - chat.interacted_at > rules.typing_after:
        raise Refused(45080)
    if now < chat.typing_until:
        raise Refused(45081)
    return now + rules.typing_shown


def _is_ai(call: dict[str, Any]) -> bool:
    context = call.get("aimsgcontext")
    return isinstance(context, dict) and context.get("is_ai_msg") == 1


def _text(content: dict[str, Any]) -> str:
    text = content.get("content")
    if not isinstance(text, str) or not text:
        raise Refused(44004)
    return text


def _menu(content: dict[str, Any]) -> str:
    menu = msgspec.convert(content, _Menu)
    items = [f"· {item.content}" for item in menu.items]
    return "\n".join(filter(None, (menu.head_content, *items, menu.tail_content)))


def _news(content: dict[str, Any]) -> str:
    articles = msgspec.convert(content, _News).articles
    if len(articles) != 1:
        raise Refused(45008)
    return "\n".join(filter(None, (articles[0].title, articles[0].url)))


def _material(content: dict[str, Any]) -> str:
    for name in ("title", "media_id", "article_id", "card_id"):
        if content.get(name):
            return str(content[name])
    raise Refused(40007)


READERS = {
    "text": _text,
    "msgmenu": _menu,
    "news": _news,
    **dict.fromkeys(
        (
            "image", "voice", "video", "music", "mpnews", "mpnewsarticle", "wxcard",
            "miniprogrampage",
        ),
        _material,
    ),
}  # fmt: skip
