"""Replies that wait for the user's next message: the document in KV `mailbox`."""

from collections.abc import Iterable

from msgspec import Struct, structs
from queqiao_wechat.text import fit, size

from queqiao_egress.pages import Items, without

CAPACITY = 64 * 1024
"""Bytes of text that may wait for one user: over thirty messages."""
SMALLEST = 200
"""Bytes of free room that are still worth filling with the beginning of a text."""
REMEMBERED = 32
"""Deliveries whose text has been put here: a repeat must not put it here again."""


class Box(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What waits, oldest first.

    `offered` are messages whose waiting request may still hand out what is here, `seen` the
    deliveries whose text has already been put in.
    """

    items: Items = ()
    offered: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()


EMPTY = Box()


def put(box: Box, delivery_id: str, items: Items, *, cut: str) -> Box:
    """Add what is left of a delivery, once; `cut` is said where the mailbox is full."""
    if delivery_id in box.seen:
        return box
    return structs.replace(
        box,
        items=_bounded(box.items, items, cut),
        seen=(*box.seen, delivery_id)[-REMEMBERED:],
    )


def remove(box: Box, carried: Iterable[str]) -> Box:
    """Take out what has been given; giving it twice changes nothing."""
    return structs.replace(box, items=without(box.items, carried))


def offer(box: Box, msgid: str) -> Box:
    """Remember that a waiting request may hand out what is here."""
    if msgid in box.offered:
        return box
    return structs.replace(box, offered=(*box.offered, msgid))


def settle(box: Box, msgids: Iterable[str]) -> Box:
    """Forget offers whose outcome is known."""
    known = set(msgids)
    return structs.replace(box, offered=tuple(one for one in box.offered if one not in known))


def _bounded(waiting: Items, new: Items, cut: str) -> Items:
    room = CAPACITY - sum(size(item.text) for item in waiting)
    kept = list(waiting)
    for item in new:
        if size(item.text) > room:
            head = fit(item.text, room)[0].rstrip() if room >= SMALLEST else ""
            if head or not kept[-1].text.endswith(cut):
                kept.append(structs.replace(item, text=f"{head}\n{cut}".strip()))
            break
        kept.append(item)
        room -= size(item.text)
    return tuple(kept)
