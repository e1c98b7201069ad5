"""Content security of Mini Programs: labels by keyword. Pure.

Source: protocol reference 8. Numbers are WeChat's errcodes and labels.
"""

from collections.abc import Iterable
from typing import Any

from queqiao_simulator.refusals import Refused
from queqiao_simulator.rules import ContentRules, Label

NORMAL = Label(keyword="-", label=100, suggest="pass")
BAD_SCENE = 40129
BAD_BODY = 47001
TOO_LONG = 45002
SEVERITY = {"pass": 0, "review": 1, "risky": 2}
DOWNLOAD_FAILED = -1008


def label_of(text: str, labels: Iterable[Label]) -> Label:
    """The worst label whose keyword the text holds; `NORMAL` for none."""
    found = [label for label in labels if label.keyword in text]
    return max(found, key=lambda label: SEVERITY[label.suggest], default=NORMAL)


def text_of(body: dict[str, Any], rules: ContentRules) -> str:
    """Everything that `msg_sec_check` looks at.

    Raises:
        Refused: 40129, 45002 or 47001.
    """
    check_scene(body)
    content = body.get("content")
    if not isinstance(content, str) or not content:
        raise Refused(BAD_BODY, "content")
    if len(content) > rules.limit_characters:
        raise Refused(TOO_LONG)
    return "\n".join(
        str(body[name]) for name in ("title", "nickname", "signature", "content") if body.get(name)
    )


def check_scene(body: dict[str, Any]) -> None:
    """Version and scene of either check.

    Raises:
        Refused: 40129 or 47001.
    """
    if body.get("version") != 2:
        raise Refused(BAD_BODY, "version must be 2")
    if body.get("scene") not in (1, 2, 3, 4):
        raise Refused(BAD_SCENE)


def verdict(label: Label, trace_id: str) -> dict[str, Any]:
    """The part that answers and events share."""
    keyword = {} if label is NORMAL else {"keyword": label.keyword}
    detail = {
        "strategy": "content_model" if label is NORMAL else "keyword",
        "errcode": 0,
        "suggest": label.suggest,
        "label": label.label,
        "prob": 90,
        **keyword,
    }
    return {
        "result": {"suggest": label.suggest, "label": label.label},
        "detail": [detail],
        "trace_id": trace_id,
    }
