"""Template and subscription messages: what their fields may hold, and how they look. Pure.

Source: protocol reference 9. Numbers are WeChat's errcodes.
"""

import re
from collections.abc import Iterable
from typing import Any

from queqiao_simulator.refusals import Refused

BAD_TEMPLATE = 40037
BAD_ARGUMENT = 47003
FORBIDDEN_WORD = 45168

_LIMITS = {"thing": 20, "number": 32, "letter": 32, "character_string": 32, "phrase": 5, "name": 20}
_KEY = re.compile(r"([a-z_]+?)[0-9]*")


def text_of(body: dict[str, Any], templates: tuple[str, ...], words: Iterable[str] = ()) -> str:
    """What the user reads.

    Raises:
        Refused: 40037, 45168 or 47003.
    """
    template = body.get("template_id")
    if not isinstance(template, str) or not template or (templates and template not in templates):
        raise Refused(BAD_TEMPLATE)
    fields = body.get("data")
    if not isinstance(fields, dict) or not all(_has_value(one) for one in fields.values()):
        raise Refused(BAD_ARGUMENT, "data")
    text = "\n".join(f"{name}：{one['value']}" for name, one in fields.items())
    if any(word in text for word in words):
        raise Refused(FORBIDDEN_WORD)
    return text


def check_values(fields: dict[str, Any]) -> None:
    """The rules for the values of a Mini Program's subscription message.

    Raises:
        Refused: 47003, naming the field.
    """
    for name, one in fields.items():
        kind = _KEY.fullmatch(name)
        limit = _LIMITS.get(kind[1]) if kind else None
        if limit is not None and not 1 <= len(str(one["value"])) <= limit:
            raise Refused(BAD_ARGUMENT, f"data.{name}.value")


def _has_value(one: object) -> bool:
    return isinstance(one, dict) and isinstance(one.get("value"), str | int | float)
