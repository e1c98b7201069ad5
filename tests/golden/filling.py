"""Values with every field filled, made from the types alone: a new field is in the next sample."""

from typing import Any

import msgspec
from msgspec import inspect

MATCHING = {"^[a-z0-9_-]+$": "main"}
"""What fits the patterns that occur."""


def filled(kind: type[Any]) -> Any:
    """Return a value of a type, with nothing left at its default that can be filled."""
    return msgspec.convert(_filled(inspect.type_info(kind)), kind)


def _filled(kind: inspect.Type) -> Any:
    match kind:
        case inspect.Metadata(type=inner):
            return _filled(inner)
        case inspect.StructType(fields=fields, array_like=is_array):
            values = [(one.encode_name, _filled(one.type)) for one in fields]
            return [value for _, value in values] if is_array else dict(values)
        case inspect.UnionType(types=types):
            inner = next(one for one in types if not isinstance(one, inspect.NoneType))
            return _filled(inner)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return [_filled(item)]
        case inspect.TupleType(item_types=items):
            return [_filled(item) for item in items]
        case inspect.DictType(key_type=key, value_type=value):
            return {_filled(key): _filled(value)}
        case _:
            return _plain(kind)


def _plain(kind: inspect.Type) -> Any:
    match kind:
        case inspect.LiteralType(values=values):
            return values[-1]
        case inspect.EnumType(cls=cls):
            return list(cls)[-1].value
        case inspect.StrType(pattern=pattern):
            return MATCHING[pattern] if pattern else "文"
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return 7
        case inspect.FloatType():
            return 1.5
        case inspect.AnyType():
            return "文"
        case _:
            raise TypeError(f"no sample of {kind}")
