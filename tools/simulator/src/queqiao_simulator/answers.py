"""What the platform makes of a callback's answer. Pure, but for the decryption it is given.

Source: protocol reference 4, 4.1, 13 (rules 5 and 7). Everything that is not exactly right shows
the user an error, so every refusal says why.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from xml.parsers import expat

import msgspec
from msgspec import Struct, field

Tree: TypeAlias = "dict[str, str | Tree]"

TEXT_LIMIT_BYTES = 2048
REQUIRED = {
    "image": ("Image", "MediaId"),
    "voice": ("Voice", "MediaId"),
    "video": ("Video", "MediaId"),
    "music": ("Music", "ThumbMediaId"),
}


class Ack(Struct, frozen=True, tag=True):
    """`success` or an empty body: nothing is shown, nothing is repeated."""

    body: str


class Reply(Struct, frozen=True, tag=True):
    """A passive reply, as the user will see it; `content` is what is more than text."""

    kind: str
    text: str
    content: dict[str, Any] = field(default_factory=dict)


class Invalid(Struct, frozen=True, tag=True):
    """The platform would show its error text."""

    reason: str


Answer: TypeAlias = Ack | Reply | Invalid


class Expected(Struct, frozen=True):
    """Whom the reply must name, what it may hold, and which media exist (None: any)."""

    openid: str
    original_id: str
    text_limit_bytes: int = TEXT_LIMIT_BYTES
    articles: int = 1
    has_medium: Callable[[str, str], bool] | None = None
    may_reply: bool = True
    hands_over_only: bool = False


Decrypt: TypeAlias = Callable[[Mapping[str, object]], bytes]
"""Opens an encrypted reply envelope; raises `ValueError` with the reason when it must not."""


def judge(body: bytes, expected: Expected, decrypt: Decrypt | None, *, sealed: bool) -> Answer:
    """Judge the body of a 200 answer.

    `decrypt` is None for plain accounts; `sealed` (safe mode) refuses replies in plain text.
    """
    bare = body.strip()
    if bare in (b"", b"success"):
        return Ack(bare.decode())
    try:
        tree = read(bare)
        if decrypt is not None and "Encrypt" in tree:
            tree = read(decrypt(tree))
        elif sealed:
            return Invalid("safe mode: the reply is not encrypted")
        return _reply(tree, expected)
    except ValueError as error:
        return Invalid(str(error))


def read(document: bytes) -> Tree:
    """Read a reply in XML, or in the JSON of a Mini Program.

    Raises:
        ValueError: it is neither.
    """
    if not document.startswith(b"{"):
        return parse(document)
    try:
        return _texts(msgspec.json.decode(document, type=dict[str, Any]))
    except msgspec.DecodeError as error:
        raise ValueError(f"malformed JSON: {error}") from error


def _texts(tree: dict[str, Any]) -> Tree:
    return {
        name: _texts(value) if isinstance(value, dict) else str(value)
        for name, value in tree.items()
    }


def parse(document: bytes) -> Tree:
    """Read a reply's XML into nested mappings; repeated elements become `item`, `item.1`, ….

    Raises:
        ValueError: not well-formed, a document type is declared, or the root is not `<xml>`.
    """
    reader = _Reader()
    try:
        reader.parser.Parse(document, True)
    except expat.ExpatError as error:
        raise ValueError(f"malformed XML: {error}") from error
    return reader.root()


class _Reader:
    """Collects expat's events into a tree."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._open: list[tuple[str, Tree, list[str]]] = [("", {}, [])]

    def root(self) -> Tree:
        tree = self._open[0][1].get("xml")
        if not isinstance(tree, dict):
            raise ValueError("malformed XML: the root element is not <xml> with children")
        return tree

    def _refuse(self, *_: object) -> None:
        raise ValueError("malformed XML: a document type is declared")

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._open.append((name, {}, []))

    def _end(self, _: str) -> None:
        name, children, text = self._open.pop()
        siblings = self._open[-1][1]
        repeated = sum(one.split(".")[0] == name for one in siblings)
        siblings[f"{name}.{repeated}" if repeated else name] = children or "".join(text)

    def _text(self, text: str) -> None:
        self._open[-1][2].append(text)


def _reply(tree: Tree, expected: Expected) -> Answer:
    if tree.get("ToUserName") != expected.openid:
        return Invalid("ToUserName is not the user's openid")
    if tree.get("FromUserName") != expected.original_id:
        return Invalid("FromUserName is not the account's original id")
    if not str(tree.get("CreateTime", "")).isdigit():
        return Invalid("CreateTime is not a number")
    if not expected.may_reply:
        return Invalid("nobody can be answered any more")
    kind = tree.get("MsgType")
    if expected.hands_over_only and kind != "transfer_customer_service":
        return Invalid(f"a Mini Program cannot answer with MsgType {kind!r}")
    return _of_kind(kind, tree, expected)


def _of_kind(kind: object, tree: Tree, expected: Expected) -> Answer:
    match kind:
        case "text":
            return _text(tree.get("Content"), expected.text_limit_bytes)
        case "news":
            return _news(tree, expected.articles)
        case "transfer_customer_service":
            return _handed_over(tree)
        case str(kind) if kind in REQUIRED:
            return _media(kind, tree, expected)
        case other:
            return Invalid(f"MsgType {other!r} is unknown")


def _text(content: object, limit: int) -> Answer:
    if not isinstance(content, str) or not content:
        return Invalid("Content is empty")
    size = len(content.encode())
    if size > limit:
        return Invalid(f"Content has {size} bytes, more than {limit}")
    return Reply("text", content)


def _handed_over(tree: Tree) -> Answer:
    target = tree.get("TransInfo")
    agent = target.get("KfAccount", "") if isinstance(target, dict) else ""
    return Reply("transfer_customer_service", "", {"agent": str(agent)} if agent else {})


def _media(kind: str, tree: Tree, expected: Expected) -> Answer:
    element, required = REQUIRED[kind]
    inner = tree.get(element)
    if not isinstance(inner, dict) or not inner.get(required):
        return Invalid(f"{element}.{required} is missing")
    media_id = str(inner[required])
    stored = "thumb" if required == "ThumbMediaId" else kind
    if expected.has_medium is not None and not expected.has_medium(media_id, stored):
        return Invalid(f"{element}.{required} does not exist, or has expired")
    return Reply(kind, str(inner.get("Title") or ""), {"media_id": media_id})


def _news(tree: Tree, limit: int) -> Answer:
    articles = tree.get("Articles")
    found = articles.items() if isinstance(articles, dict) else ()
    items = [
        item for name, item in found if name.split(".")[0] == "item" and isinstance(item, dict)
    ]
    if not items:
        return Invalid("Articles.item is missing")
    if tree.get("ArticleCount") != str(len(items)):
        return Invalid(f"ArticleCount is not the number of articles, {len(items)}")
    if len(items) > limit:
        return Invalid(f"{len(items)} articles, more than {limit}")
    first = items[0]
    text = "\n".join(str(first[f]) for f in ("Title", "Url") if first.get(f))
    return Reply("news", text, {"articles": [_article(item) for item in items]})


def _article(item: Tree) -> dict[str, str]:
    names = {"title": "Title", "description": "Description", "url": "Url", "picurl": "PicUrl"}
    return {name: str(item.get(element, "")) for name, element in names.items()}
