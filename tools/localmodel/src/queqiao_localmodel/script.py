"""What the fake model does with one call, and what it says: pure functions of the request.

A directive is written in square brackets, in the model's name or in the last user message:
`[delay=3]`, `[status=429;retry-after=1]`, `[hang_mid]`. A bracket that is not understood as a
whole is ordinary text, so that `[微笑]` and `[1]` stay what they are.
"""

import re
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(ge=0, le=3600)]


class Fault(StrEnum):
    """The ways in which an answer goes wrong while its status is 200."""

    HANG = "hang"  # the request is read, nothing is ever sent
    HANG_MID = "hang_mid"  # half of the answer, then silence on an open connection
    DISCONNECT = "disconnect"  # half of the answer, then the connection is cut
    HALF = "half"  # half of the answer, then a clean end, without [DONE]
    GARBAGE = "garbage"  # the first half, then an event that is not JSON
    BAD_UTF8 = "bad_utf8"  # a byte in the text that no UTF-8 holds
    EMPTY = "empty"  # a correct answer without any text
    HTML = "html"  # a page of a proxy instead of an answer


class Script(Struct, frozen=True, forbid_unknown_fields=True):
    """How one call is answered. Without directives: at once, correctly, `答：<question>`."""

    delay: Seconds = 0.0  # before the head of the response
    first: Seconds = 0.0  # between the head and the first token
    tokens_per_second: Annotated[float, Meta(ge=0, le=100_000)] = 0.0  # 0: as fast as it can
    chunk: Annotated[int, Meta(ge=1, le=10_000)] = 4  # characters in one token
    paragraphs: Annotated[int, Meta(ge=1, le=1_000)] = 1
    bytes: Annotated[int, Meta(ge=0, le=1_000_000)] = 0  # of the whole text; 0: as it comes
    status: Annotated[int, Meta(ge=200, le=599)] = 200
    retry_after: Seconds | None = None
    fault: Fault | None = None
    cdata: bool = False
    markdown: bool = False


FLAGS = {fault.value: ("fault", fault.value) for fault in Fault} | {
    "cdata": ("cdata", "true"),
    "markdown": ("markdown", "true"),
}
NUMBERS = frozenset(Script.__struct_fields__) - {"fault", "cdata", "markdown"}

_BRACKET = re.compile(r"\[([a-z0-9_=;.-]+)\]", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,6})?", re.ASCII)

_FILLER = "喜鹊为桥，两岸的人得以相会。"
_MARKDOWN = """# 标题

**要点**：

- 第一条，见[说明](https://example.com/a)
- 第二条，`代码`

```python
print("桥")
```

| 列 | 值 |
|---|---|
| 一 | 1 |"""


def directed(script: Script, text: str) -> Script:
    """The script changed by every directive in the text; the later one wins."""
    if "[" not in text:
        return script
    for bracket in _BRACKET.finditer(text):
        script = applied(script, bracket[1]) or script
    return script


def applied(script: Script, directive: str) -> Script | None:
    """The script changed by one directive without its brackets; None: it is not a directive.

    Directives are joined by semicolons, and all of them count or none does.
    """
    changes = dict(filter(None, map(_setting, directive.split(";"))))
    if len(changes) != directive.count(";") + 1:
        return None
    try:
        return msgspec.convert(msgspec.structs.asdict(script) | changes, Script, strict=False)
    except msgspec.ValidationError:
        return None


def _setting(part: str) -> tuple[str, str] | None:
    name, given, value = part.partition("=")
    if not given:
        return FLAGS.get(name)
    field = name.replace("-", "_")
    return (field, value) if field in NUMBERS and _NUMBER.fullmatch(value) else None


def answer(question: str, script: Script) -> str:
    """The text of an answer: the question word for word, so that a test can tell whose it is.

    `bytes` is met exactly wherever it leaves room for the question and the paragraphs' headings.
    """
    if script.fault is Fault.EMPTY:
        return ""
    paragraphs = [f"答：{question}"]
    paragraphs += [f"第{number}段。" for number in range(2, script.paragraphs + 1)]
    if script.cdata:
        paragraphs[-1] += "<![CDATA[内层]]>之后"
    tail = f"\n\n{_MARKDOWN}" if script.markdown else ""
    return "\n\n".join(_filled(paragraphs, script.bytes - len(tail.encode()))) + tail


def _filled(paragraphs: list[str], size: int) -> list[str]:
    """Lengthen paragraphs evenly until, joined by blank lines, they have `size` bytes."""
    missing = size - len("\n\n".join(paragraphs).encode())
    if missing <= 0:
        return paragraphs
    share, rest = divmod(missing, len(paragraphs))
    sizes = [share] * (len(paragraphs) - 1) + [share + rest]
    return [text + filler(more) for text, more in zip(paragraphs, sizes, strict=True)]


def filler(size: int) -> str:
    """Chinese sentences of exactly `size` bytes; full stops fill what no character fits."""
    text = _FILLER * (size // len(_FILLER.encode()) + 1)
    whole = text.encode()[:size].decode(errors="ignore")
    return whole + "." * (size - len(whole.encode()))


def tokens(text: str, length: int) -> list[str]:
    """The text in pieces of `length` characters."""
    return [text[start : start + length] for start in range(0, len(text), length)]
