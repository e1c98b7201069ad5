"""How the fields of a Struct read to a person: type, limits, default, meaning."""

import inspect as python
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import NODEFAULT, Struct, inspect
from queqiao_common.settings import Secret

PLAIN = {
    inspect.StrType: "text",
    inspect.IntType: "whole number",
    inspect.FloatType: "number",
    inspect.BytesType: "bytes, in base64",
    inspect.BoolType: "true or false",
    inspect.AnyType: "anything",
    inspect.NoneType: "nothing",
}
LIMITS = (
    ("ge", "at least {}"),
    ("gt", "above {}"),
    ("le", "at most {}"),
    ("lt", "below {}"),
    ("pattern", "`{}`"),
    ("min_length", "at least {} long"),
    ("max_length", "at most {} long"),
)


@dataclass(frozen=True)
class Shape:
    """One field, in words."""

    name: str
    type: str
    default: str  # empty: required
    meaning: str


def shapes(kind: type[Struct]) -> Iterator[Shape]:
    """Describe every field of a Struct."""
    found = inspect.type_info(kind)
    if not isinstance(found, inspect.StructType):
        raise TypeError(f"{kind.__name__} is no Struct")
    for field in found.fields:
        yield Shape(field.encode_name, said(field.type), default(field), meaning(field.type))


def said(kind: inspect.Type) -> str:
    """Name a type, with the limits of its values."""
    plain = bare(kind)
    match plain:
        case inspect.StructType() | inspect.EnumType():
            return f"`{plain.cls.__name__}`"
        case inspect.VarTupleType() | inspect.ListType():
            return f"list of {said(plain.item_type)}"
        case inspect.DictType():
            return f"table of {said(plain.value_type)}"
        case inspect.UnionType():
            options = [one for one in plain.types if not isinstance(one, inspect.NoneType)]
            return " or ".join(map(said, options)) + ", or left out"
        case inspect.LiteralType():
            return ", ".join(f"`{json.dumps(value)}`" for value in sorted(plain.values, key=str))
        case inspect.CustomType():
            return "secret text" if plain.cls is Secret else plain.cls.__name__
        case _:
            return limited(PLAIN[type(plain)], plain)


def limited(name: str, kind: inspect.Type) -> str:
    """Add the limits of a type to its name."""
    limits = ((text, getattr(kind, attribute, None)) for attribute, text in LIMITS)
    return ", ".join([name, *(text.format(value) for text, value in limits if value is not None)])


def bare(kind: inspect.Type) -> inspect.Type:
    """Look through annotations."""
    return bare(kind.type) if isinstance(kind, inspect.Metadata) else kind


def meaning(kind: inspect.Type) -> str:
    """Return what the annotations say of a field, for Markdown."""
    if not isinstance(kind, inspect.Metadata):
        return ""
    own = (kind.extra_json_schema or {}).get("description", "")
    return str(own).replace("<", "&lt;") or meaning(kind.type)


def default(field: inspect.Field) -> str:
    """Return the default of a field as JSON; empty where one has to be given."""
    if field.required:
        return ""
    value = field.default if field.default is not NODEFAULT else field.default_factory()
    if isinstance(value, Secret | Struct):
        return '`""`' if isinstance(value, Secret) else "its own defaults"
    if value is None:
        return "left out"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def nested(kind: inspect.Type) -> list[type[Struct]]:
    """Return the Structs that a type is made of."""
    plain = bare(kind)
    match plain:
        case inspect.StructType():
            return [plain.cls]
        case inspect.VarTupleType() | inspect.ListType():
            return nested(plain.item_type)
        case inspect.DictType():
            return nested(plain.value_type)
        case inspect.UnionType():
            return [one for option in plain.types for one in nested(option)]
        case _:
            return []


def doc(kind: type[Any]) -> str:
    """Return the docstring of a class."""
    return python.getdoc(kind) or ""


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a Markdown table."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return " | ".join(["", *(cell.replace("|", r"\|") for cell in cells), ""]).strip()
