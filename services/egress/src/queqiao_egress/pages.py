"""What a user has still to be given, and the messages it makes.

A text is never copied into a state "sent" or "unsent": it stays one `Item` per delivery, and what
has been given is written as references (`<delivery id>`, or `<delivery id>:<end>` where a message
ended inside it). Claims, markers and the mailbox all speak of it in these references, so that
taking away what was given can be repeated, in any order, without harm.
"""

from collections.abc import Iterable

from msgspec import Struct, structs
from queqiao_common.events import Card, Media, Menu
from queqiao_wechat.text import fit, size

SEPARATOR = "\n\n"
LONGEST_CHARACTER = 4
"""Bytes of UTF-8; less room holds nothing for certain."""
WORTH_FILLING = 8
"""A message is filled up until less than this share (1/8) of it is free."""


class Attachment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message is instead of a text, where the channel can show it: one of these."""

    menu: Menu | None = None
    card: Card | None = None
    media: Media | None = None

    @property
    def kind(self) -> str:
        """What it is: `menu`, `news`, `miniprogram`, `voice` or `image`."""
        if self.media is not None:
            return self.media.kind
        if self.card is not None:
            return "miniprogram" if self.card.appid else "news"
        return "menu"


def labelled(attachment: Attachment, label: str) -> Attachment:
    """Return an attachment whose own words say that an AI wrote it; media have none."""
    if not label or attachment.media is not None:
        return attachment
    if (menu := attachment.menu) is not None:
        tail = _lines(menu.tail, label)
        return structs.replace(attachment, menu=structs.replace(menu, tail=tail))
    if (card := attachment.card) is not None and card.appid:  # it has but a title
        return structs.replace(attachment, card=structs.replace(card, title=card.title + label))
    if card is not None:
        described = structs.replace(card, description=_lines(card.description, label))
        return structs.replace(attachment, card=described)
    return attachment


def _lines(*lines: str) -> str:
    return "\n".join(filter(None, lines))


class Item(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The text of one delivery, from its character `start` on; never empty, no blanks around it.

    With an `attachment` it is a message of its own on channels that can show it, and this text on
    all others, or when that fails.
    """

    id: str
    text: str
    ai: bool = False
    start: int = 0
    attachment: Attachment | None = None


Items = tuple[Item, ...]


class Page(Struct, frozen=True, kw_only=True):
    """One message: its final text, whether an AI wrote it, what it carries, what comes after.

    With an attachment that is the message, its label included, and the text stands for it in words.
    """

    text: str
    ai: bool
    carried: tuple[str, ...]
    rest: Items
    attachment: Attachment | None = None


class Style(Struct, frozen=True, kw_only=True):
    """How one path's messages look. `limit_bytes` counts everything, label and note too.

    `shows` are the kinds of attachments that it can carry.
    """

    limit_bytes: int
    label: str = ""
    shows: frozenset[str] = frozenset()


def without(items: Items, carried: Iterable[str]) -> Items:
    """Return what is left of the items when these references have been given."""
    ends = dict(_parsed(reference) for reference in sorted(carried, key=_parsed))
    return tuple(
        rest for item in items if (rest := _from(item, ends.get(item.id, item.start))) is not None
    )


def plain(items: Items, ids: Iterable[str]) -> Items:
    """Return the items with those of these ids as mere text."""
    known = frozenset(ids)
    return tuple(
        structs.replace(item, attachment=None) if item.id in known else item for item in items
    )


def page(
    items: Items, style: Style, *, note: str = "", unfinished: bool = False, full: bool = False
) -> Page:
    """Put as much as fits into one message, ended by `note` where something is left over.

    What is more than a text is a message of its own, and a note never ends it.

    With `unfinished` the note is there in any case; with `full` a message is filled beyond a
    paragraph's end, for when messages are scarce.

    Raises:
        ValueError: label and note leave no room for a character.
    """
    words, others = _run(items, style)
    if not words:
        first = others[0]
        return Page(
            text=first.text,
            ai=first.ai,
            carried=(first.id,),
            rest=others[1:],
            attachment=_shown(first, style),
        )
    found = _text_page(words, style, note=note, unfinished=unfinished or bool(others), full=full)
    return structs.replace(found, rest=(*found.rest, *others))


def _shown(item: Item, style: Style) -> Attachment | None:
    if item.attachment is None or not item.ai:
        return item.attachment
    return labelled(item.attachment, style.label)


def _run(items: Items, style: Style) -> tuple[Items, Items]:
    """Part the items before the first that is to be more than a text."""
    for index, item in enumerate(items):
        if item.attachment is not None and item.attachment.kind in style.shows:
            return items[:index], items[index:]
    return items, ()


def _text_page(items: Items, style: Style, *, note: str, unfinished: bool, full: bool) -> Page:
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
    return structs.replace(item, text=text, start=start, attachment=None) if text else None


def _parsed(reference: str) -> tuple[str, float]:
    delivery_id, colon, end = reference.partition(":")
    return (delivery_id, int(end)) if colon else (delivery_id, float("inf"))
