"""What the stream of an AI bot shows: one text that grows, in bucket `displays`. Pure.

Source: protocol reference 10.2. The text is cumulative and has at most 20,480 bytes; what no longer
fits stays to be given another way.
"""

from msgspec import structs
from queqiao_common.displays import Display
from queqiao_wechat.text import size

from queqiao_egress.pages import SEPARATOR, Items, Style, page, without


def grown(
    display: Display | None, items: Items, style: Style, *, is_final: bool, now_ms: int
) -> Display:
    """Show more; what is shown already is not shown again, and a final text stays as it is.

    With the last of it comes the label, for which there is always room.
    """
    known = display or Display()
    if known.is_final:
        return known
    label = f"\n{style.label}" if style.label else ""
    is_ai = known.ai or any(item.ai for item in items)
    gap = SEPARATOR if known.text else ""
    room = style.limit_bytes - size(known.text) - size(gap + label)
    text, carried = known.text, known.items
    if left := without(items, known.items):
        more = page(left, Style(limit_bytes=room)) if room >= WORTH else None
        text = f"{text}{gap}{more.text}" if more else text
        carried = (*carried, *(more.carried if more else ()))
    return structs.replace(
        known,
        text=text + (label if is_final and is_ai else ""),
        items=carried,
        ai=is_ai,
        is_final=is_final,
        updated_ms=now_ms,
    )


def closed(display: Display | None, text: str, *, now_ms: int) -> Display:
    """End a stream that shows nothing, with a word why; one that shows something ends as it is."""
    known = display or Display()
    if known.is_final:
        return known
    return structs.replace(known, text=known.text or text, is_final=True, updated_ms=now_ms)


WORTH = 64
"""Bytes of room below which nothing more is shown."""
