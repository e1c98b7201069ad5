"""A pushed body, XML or JSON, as flat fields: the only parser of bytes that strangers sent.

A nested value has its path as its name (`ScanCodeInfo.ScanResult`). The second and later of
several equal siblings are numbered (`List.TemplateId`, `List.1.TemplateId`), so that a list of one
reads like the single object that WeChat sends in its place.
"""

import codecs
from collections import Counter
from collections.abc import Iterator
from typing import NoReturn
from xml.parsers import expat

import msgspec

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
MAX_FIELDS = 1000  # values; a body of nothing but names would cost more time than its bytes tell
MAX_NAME = 128  # characters; one huge name above thousands of children would fill the memory


class MessageError(ValueError):
    """The body is not a message: hostile, broken, or without the fields every message has."""


def parse_fields(body: bytes) -> dict[str, str]:
    """Read a body as flat fields; XML or JSON is told by its first character.

    Raises:
        MessageError: it is over 64 kB, not UTF-8, not well-formed, carries a DOCTYPE, nests
            deeper than 8, or has over 1,000 values or a name of over 128 characters.
    """
    if len(body) > MAX_BYTES:
        raise MessageError(f"body of {len(body)} bytes, the limit is {MAX_BYTES}")
    try:
        text = body.decode("utf-8-sig").lstrip()
    except UnicodeDecodeError as error:
        raise MessageError(f"body is not UTF-8 at byte {error.start}") from None
    if text.startswith("{"):
        return _parse_json(text)
    if text.startswith("<"):
        return _Xml().parse(text)
    raise MessageError("body is neither an XML element nor a JSON object")


def is_json(body: bytes) -> bool:
    """Tell whether a body, well-formed or not, is read as JSON rather than as XML."""
    return body.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"{"


def _parse_json(text: str) -> dict[str, str]:
    try:
        tree = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MessageError(f"body is not well-formed JSON ({type(error).__name__})") from None
    fields: dict[str, str] = {}
    for number, (path, value) in enumerate(_flatten(tree, "", 1)):
        _check_count(number)
        fields[path] = value
    return fields


def _flatten(value: object, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > MAX_DEPTH + 1:
        raise MessageError(f"body nests deeper than {MAX_DEPTH}")
    match value:
        case dict():
            for name, child in value.items():
                step = _checked(name)
                yield from _flatten(child, f"{path}.{step}" if path else step, depth + 1)
        case list():
            for index, child in enumerate(value):
                yield from _flatten(child, f"{path}.{index}" if index else path, depth + 1)
        case None:
            yield path, ""
        case bool():
            yield path, str(value).lower()
        case _:
            yield path, str(value)


def _checked(name: str) -> str:
    if len(name) > MAX_NAME:
        raise MessageError(f"body has a name of {len(name)} characters, the limit is {MAX_NAME}")
    return name


def _check_count(count: int) -> None:
    if count >= MAX_FIELDS:
        raise MessageError(f"body has over {MAX_FIELDS} values")


class _Xml:
    """One run of expat. A DOCTYPE is refused where it starts, before any entity can exist."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        self._path: list[str] = []
        self._siblings: list[Counter[str]] = [Counter()]
        self._chunks: list[str] = []
        self._is_leaf = False
        self._count = 0

    def parse(self, text: str) -> dict[str, str]:
        # The encoding is fixed here: a declaration must not make expat decode the bytes anew.
        parser = expat.ParserCreate(encoding="utf-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._chunks.append
        try:
            parser.Parse(text.encode(), True)
        except expat.ExpatError as error:
            raise MessageError(f"body is not well-formed XML: {error}") from None
        return self._fields

    def _refuse_doctype(self, *_: object) -> NoReturn:
        raise MessageError("body carries a DOCTYPE")

    def _start(self, name: str, _: dict[str, str]) -> None:
        if len(self._path) >= MAX_DEPTH:
            raise MessageError(f"body nests deeper than {MAX_DEPTH}")
        _check_count(self._count)
        self._count += 1
        repeated = self._siblings[-1][name]
        self._siblings[-1][name] += 1
        self._siblings.append(Counter())
        self._path.append(f"{_checked(name)}.{repeated}" if repeated else _checked(name))
        self._chunks.clear()
        self._is_leaf = True

    def _end(self, _: str) -> None:
        if self._is_leaf and len(self._path) > 1:
            self._fields[".".join(self._path[1:])] = "".join(self._chunks)
        self._is_leaf = False
        self._path.pop()
        self._siblings.pop()
