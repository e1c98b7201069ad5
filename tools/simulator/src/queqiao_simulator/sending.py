"""What a customer-service call may say, and to whom. Pure.

Source: protocol reference 6.1 to 6.3, 13 (rules 11 and 12). Numbers are WeChat's errcodes.
"""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

from queqiao_simulator.accounts import Conversation
from queqiao_simulator.refusals import Refused
from queqiao_simulator.settings import Kind, SendRules

HasMedium: TypeAlias = Callable[[object, str], bool]
"""Whether a medium of this id exists for messages of this kind."""


class _MenuItem(Struct):
    id: str | int = ""
    content: str = ""


class _Menu(Struct):
    items: tuple[_MenuItem, ...] = field(name="list", default=())
    head_content: str = ""
    tail_content: str = ""


class _Article(Struct):
    title: str = ""
    description: str = ""
    url: str = ""
    picurl: str | None = ""


class _News(Struct):
    articles: tuple[_Article, ...] = ()


IDS = ("media_id", "article_id", "card_id")
ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?!00[0-7])[0-9a-fA-F]{4}")


class Outgoing(Struct, frozen=True):
    """A customer-service message, as the user will see it; `content` is more than text."""

    kind: str
    text: str
    is_ai: bool
    content: dict[str, Any] = field(default_factory=dict)


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


def outgoing(
    call: dict[str, Any],
    body: bytes,
    rules: SendRules,
    *,
    account: Kind = "service",
    has_medium: HasMedium | None = None,
) -> Outgoing:
    """Read the message of `/cgi-bin/message/custom/send` of an account of this kind.

    Raises:
        Refused: 40007, 40008, 40033, 44004, 45002, 45008 or 47001.
    """
    kind = call.get("msgtype")
    if not isinstance(kind, str) or kind not in kinds_of(account):
        raise Refused(40008)
    content = call.get(kind)
    if not isinstance(content, dict):
        raise Refused(44004 if content is None else 47001)
    if rules.refuse_escapes and ESCAPE.search(body):
        raise Refused(40033, "send UTF-8, not \\u escapes")
    try:
        text = READERS[kind](content)
        more = CONTENTS.get(kind, _media_id)(content)
    except msgspec.ValidationError as error:
        raise Refused(47001, str(error)) from error
    size = len(text.encode())
    if kind == "text" and size > rules.text_limit_bytes:
        raise Refused(45002, f"{size} bytes, at most {rules.text_limit_bytes}")
    if has_medium is not None:
        _check_media(kind, content, has_medium)
    agent = (call.get("customservice") or {}).get("kf_account")
    if agent:
        more["agent"] = str(agent)
    return Outgoing(kind, text, _is_ai(call), more)


def kinds_of(account: Kind) -> frozenset[str]:
    """The msgtypes that an account of this kind may send."""
    return OF_MINI_PROGRAM if account == "miniprogram" else OF_OFFICIAL_ACCOUNT


def _check_media(kind: str, content: dict[str, Any], has_medium: HasMedium) -> None:
    for name, stored in MEDIA.get(kind, ()):
        if not has_medium(content.get(name), stored):
            raise Refused(40007, name)


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
    if not any(content.get(name) for name in ("title", *IDS)):
        raise Refused(40007)
    return str(content.get("title") or "")


def _link(content: dict[str, Any]) -> str:
    if not content.get("title") or not content.get("url"):
        raise Refused(47001, "link")
    return "\n".join((str(content["title"]), str(content["url"])))


def _no_more(_: dict[str, Any]) -> dict[str, Any]:
    return {}


def _ids(content: dict[str, Any]) -> dict[str, Any]:
    return {name: str(content[name]) for name in IDS if content.get(name)}


def _media_id(content: dict[str, Any]) -> dict[str, Any]:
    names = ("media_id", "thumb_media_id")
    return {"media_id": next((content[name] for name in names if content.get(name)), "")}


def _items(content: dict[str, Any]) -> dict[str, Any]:
    menu = msgspec.convert(content, _Menu)
    return {
        "head": menu.head_content,
        "items": [{"id": str(item.id), "content": item.content} for item in menu.items],
        "tail": menu.tail_content,
    }


def _articles(content: dict[str, Any]) -> dict[str, Any]:
    articles = msgspec.convert(content, _News).articles
    return {"articles": [msgspec.structs.asdict(article) for article in articles]}


def _page(content: dict[str, Any]) -> dict[str, Any]:
    names = ("title", "appid", "pagepath", "url", "thumb_url", "description")
    card = {name: str(content[name]) for name in names if content.get(name)}
    return {"card": card} | _media_id(content)


CONTENTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "text": _no_more,
    "msgmenu": _items,
    "news": _articles,
    "mpnews": _ids,
    "mpnewsarticle": _ids,
    "wxcard": _ids,
    "miniprogrampage": _page,
    "link": _page,
}

MEDIA: dict[str, tuple[tuple[str, str], ...]] = {
    "image": (("media_id", "image"),),
    "voice": (("media_id", "voice"),),
    "video": (("media_id", "video"),),
    "music": (("thumb_media_id", "thumb"),),
    "miniprogrampage": (("thumb_media_id", "thumb"),),
}

READERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "text": _text,
    "msgmenu": _menu,
    "news": _news,
    "link": _link,
    **dict.fromkeys(
        (
            "image", "voice", "video", "music", "mpnews", "mpnewsarticle", "wxcard",
            "miniprogrampage",
        ),
        _material,
    ),
}  # fmt: skip
OF_MINI_PROGRAM = frozenset({"text", "image", "link", "miniprogrampage"})
OF_OFFICIAL_ACCOUNT = frozenset(READERS) - {"link"}
