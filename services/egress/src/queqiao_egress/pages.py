"""What a user has still to be given, and the messages it makes.

A text is never copied into a state "sent" or "unsent": it stays one `Item` per delivery, and what
has been given is written as references (`<delivery id>`, or `<delivery id>:<end>` where a message
ended inside it). Claims, markers and the mailbox all speak of it in these references, so that
taking away what was given can be repeated, in any order, without harm.
"""

from collections.abc import Iterable

from msgspec import Struct, structs
from queqiao_wechat.text import fit, size

SEPARATOR = "\n\n"
LONGEST_CHARACTER = 4
"""Bytes of UTF-8; less room holds nothing for certain."""
WORTH_FILLING = 8
"""A message is filled up until less than this share (1/8) of it is free."""


class Item(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The text of one delivery, from its character `start` on; never empty, no blanks around it."""

    id: str
    text: str
    ai: bool = False
    start: int = 0


Items = tuple[Item, ...]


class Page(Struct, frozen=True, kw_only=True):
    """One message: its final text, whether an AI wrote it, what it carries, what comes after."""

    text: str
    ai: bool
    carried: tuple[str, ...]
    rest: Items


class Style(Struct, frozen=True, kw_only=True):
    """How one channel's messages look. `limit_bytes` counts everything, label and note too."""

    limit_bytes: int
    label: str = ""


def without(items: Items, carried: Iterable[str]) -> Items:
    """Return what is left of the items when these references have been given."""
    ends = dict(_parsed(reference) for reference in sorted(carried, key=_parsed))
    return tuple(
        rest for item in items if (rest := _from(item, ends.get(item.id, item.start))) is not None
    )


def page(
    items: Items, style: Style, *, note: str = "", unfinished: bool = False, full: bool = False
) -> Page:
    """Put as much as fits into one message, ended by `note` where something is left over.

    With `unfinished` the note is there in any case; with `full` a message is filled beyond a
    paragraph's end, for when messages are scarce.

    Raises:
        ValueError: label and note leave no room for a character.
    """
    label = f"\n{style.label}" if style.label and any(item.ai for item in items) else ""
    ending = ""
    body, carried, rest = _take(items, style.limit_bytes - size(label), full=full)
    if note and (rest or unfinished):
        ending = f"\n{note}"
        body, carried, rest = _take(items, style.limit_bytes - size(label + ending), full=full)
    ai = any(item.ai for item in items[: len(carried)])
    text = body.rstrip() + (label if ai else "") + ending
    return Page(text=text, ai=ai, carried=carried, rest=rest)


def pages(items: Items, style: Style, *, note: str = "", full: bool = False) -> tuple[Page, ...]:
    """Put everything into messages; all but the last end with `note`."""
    found: list[Page] = []
    while items:
        found.append(page(items, style, note=note, full=full))
        items = found[-1].rest
    return tuple(found)


def _take(items: Items, limit_bytes: int, *, full: bool) -> tuple[str, tuple[str, ...], Items]:
    joined = SEPARATOR.join(item.text for item in items)
    body = _fill(joined, limit_bytes) if full else fit(joined, limit_bytes)[0]
    carried: list[str] = []
    rest: list[Item] = []
    at = 0
    for item in items:
        given = len(body) - at
        at += len(item.text) + len(SEPARATOR)
        left = _from(item, item.start + given) if given > 0 else item
        if left is None:
            carried.append(item.id)
            continue
        rest.append(left)
        if given > 0:
            carried.append(f"{item.id}:{left.start}")
    return body, tuple(carried), tuple(rest)


def _fill(text: str, limit_bytes: int) -> str:
    """Return the longest good beginning: sentence after sentence, until the message is full."""
    head, rest = fit(text, limit_bytes)
    worth = max(LONGEST_CHARACTER, limit_bytes // WORTH_FILLING)
    while rest and (room := limit_bytes - size(head)) >= worth:
        more, rest = fit(rest, room)
        if more.rfind("<a ") > more.rfind("</a>"):  # would end inside a link
            break
        head += more
    return head


def _from(item: Item, end: float) -> Item | None:
    """Return the item from character `end` of its delivery on (None: all of it is given)."""
    if end >= item.start + len(item.text):
        return None
    if end <= item.start:
        return item
    end = int(end)
    tail = item.text[end - item.start :]
    text = tail.lstrip()
    start = end + len(tail) - len(text)
    return structs.replace(item, text=text, start=start) if text else None


def _parsed(reference: str) -> tuple[str, float]:
    delivery_id, colon, end = reference.partition(":")
    return (delivery_id, int(end)) if colon else (delivery_id, float("inf"))
