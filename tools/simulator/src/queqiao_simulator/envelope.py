"""What the platform writes: the XML or JSON of a push and its encrypted envelope. Pure.

Source: protocol reference 2.1, 2.2, 3. A push is a mapping of element names; text becomes CDATA,
numbers stay bare, a mapping or a list nests.
"""

from collections.abc import Mapping
from typing import TypeAlias
from xml.sax.saxutils import escape

import msgspec

Value: TypeAlias = "str | int | float | Mapping[str, Value] | list[Value]"
Fields: TypeAlias = Mapping[str, Value]

DEFAULTS: Mapping[str, Fields] = {
    "text": {"Content": ""},
    # Media are made by `acting`; these are for a test that names its own.
    "image": {"PicUrl": "http://cdn.simulator.local/picture.jpg"},
    "voice": {"Format": "amr"},
    "location": {"Location_X": 30.27, "Location_Y": 120.15, "Scale": 16, "Label": "西湖"},
    "link": {"Title": "标题", "Description": "摘要", "Url": "https://simulator.local/link"},
    "miniprogrampage": {
        "Title": "卡片",
        "AppId": "wx0000000000000000",
        "PagePath": "pages/index",
    },
}


def message(kind: str, fields: Fields) -> dict[str, Value]:
    """The type-specific elements of a user's message, with plausible defaults."""
    return {"MsgType": kind, **DEFAULTS.get(kind, {}), **fields}


def event(name: str, key: str | None, fields: Fields) -> dict[str, Value]:
    """The type-specific elements of an event; `key` None leaves `EventKey` out."""
    with_key: dict[str, Value] = {} if key is None else {"EventKey": key}
    return {"MsgType": "event", "Event": name, **with_key, **fields}


def render(fields: Fields) -> bytes:
    """One `<xml>` document, UTF-8, without a declaration, as the platform sends it."""
    return f"<xml>{_elements(fields)}</xml>".encode()


def render_json(fields: Fields) -> bytes:
    """The same push as a Mini Program with the format JSON receives it."""
    return msgspec.json.encode(fields)


def cdata(text: str) -> str:
    """A CDATA section; an inner `]]>` is split over two sections."""
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"


def _elements(fields: Fields) -> str:
    return "".join(f"<{name}>{_value(value)}</{name}>" for name, value in fields.items())


def _value(value: Value) -> str:
    match value:
        case str():
            return cdata(value)
        case Mapping():
            return _elements(value)
        case list():
            return "".join(f"<item>{_value(item)}</item>" for item in value)
        case _:
            return escape(str(value))
