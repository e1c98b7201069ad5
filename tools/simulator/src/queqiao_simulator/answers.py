"""What the platform makes of a callback's answer. Pure, but for the decryption it is given.

Source: protocol reference 4, 4.1, 13 (rules 5 and 7). Everything that is not exactly right shows
the user an error, so every refusal says why.
"""

from collections.abc import Callable
from typing import TypeAlias
from xml.parsers import expat

from msgspec import Struct

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
    """A passive reply, as the user will see it."""

    kind: str
    text: str


class Invalid(Struct, frozen=True, tag=True):
    """The platform would show its error text."""

    reason: str


Answer: TypeAlias = Ack | Reply | Invalid


class Expected(Struct, frozen=True):
    """Whom the reply must name, and how much text it may hold."""

    openid: str
    original_id: str
    text_limit_bytes: int = TEXT_LIMIT_BYTES


Decrypt: TypeAlias = Callable[[Tree], bytes]
"""Opens an encrypted reply envelope; raises `ValueError` with the reason when it must not."""


def judge(body: bytes, expected: Expected, decrypt: Decrypt | None, *, sealed: bool) -> Answer:
    """Judge the body of a 200 answer.

    `decrypt` is None for plain accounts; `sealed` (safe mode) refuses replies in plain text.
    """
    bare = body.strip()
    if bare in (b"", b"success"):
        return Ack(bare.decode())
    try:
        tree = parse(bare)
        if decrypt is not None and "Encrypt" in tree:
            tree = parse(decrypt(tree))
        elif sealed:
            return Invalid("safe mode: the reply is not encrypted")
        return _reply(tree, expected)
    except ValueError as error:
        return Invalid(str(error))


def parse(document: bytes) -> Tree:
    """Read a reply's XML into nested mappings (of repeated elements the last one stays).

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
        self._open[-1][1][name] = children or "".join(text)

    def _text(self, text: str) -> None:
        self._open[-1][2].append(text)


def _reply(tree: Tree, expected: Expected) -> Answer:
    if tree.get("ToUserName") != expected.openid:
        return Invalid("ToUserName is not the user's openid")
    if tree.get("FromUserName") != expected.original_id:
        return Invalid("FromUserName is not the account's original id")
    if not str(tree.get("CreateTime", "")).isdigit():
        return Invalid("CreateTime is not a number")
    match tree.get("MsgType"):
        case "text":
            return _text(tree.get("Content"), expected.text_limit_bytes)
        case "news":
            return _news(tree)
        case "transfer_customer_service":
            return Reply("transfer_customer_service", "")
        case str(kind) if kind in REQUIRED:
            return _media(kind, tree)
        case other:
            return Invalid(f"MsgType {other!r} is unknown")


def _text(content: object, limit: int) -> Answer:
    if not isinstance(content, str) or not content:
        return Invalid("Content is empty")
    size = len(content.encode())
    if size > limit:
        return Invalid(f"Content has {size} bytes, more than {limit}")
    return Reply("text", content)


def _media(kind: str, tree: Tree) -> Answer:
    element, field = REQUIRED[kind]
    inner = tree.get(element)
    if not isinstance(inner, dict) or not inner.get(field):
        return Invalid(f"{element}.{field} is missing")
    return Reply(kind, str(inner.get("Title") or inner[field]))


def _news(tree: Tree) -> Answer:
    articles = tree.get("Articles")
    item = articles.get("item") if isinstance(articles, dict) else None
    if not isinstance(item, dict):
        return Invalid("Articles.item is missing")
    if tree.get("ArticleCount") not in {str(count) for count in range(1, 9)}:
        return Invalid("ArticleCount is not a number from 1 to 8")
    return Reply("news", "\n".join(str(item[f]) for f in ("Title", "Url") if item.get(f)))
