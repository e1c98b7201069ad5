"""Sections in chunks: as large as is useful before a model, cut where a thought ends. Pure."""

import re
from collections.abc import Iterable, Iterator

from queqiao_common.knowledge import Chunk

from queqiao_cli.knowledge.readers import MAX_HEADING, Section

_ENDS = (
    re.compile(r"\n[^\S\n]*\n+"),
    re.compile(r"\n"),
    re.compile(r"[。！？!?；;]+[”’」』）)]*|\.(?=\s)"),
    re.compile(r"[，,、：:]|\s"),
)
"""Where a text may be cut, the best first: paragraphs, lines, sentences, their parts."""


def chunks_of(sections: Iterable[Section], *, size: int, overlap: int) -> Iterator[Chunk]:
    """Cut sections into chunks of at most `size` characters.

    A chunk never mixes two sections, and repeats at most `overlap` characters of the one before it.
    """
    for section in sections:
        text, heading = section.text.strip(), section.heading[:MAX_HEADING]
        for start, end in spans(text, size=size, overlap=overlap):
            yield Chunk(heading, text[start:end].strip() or heading, section.place)


def spans(text: str, *, size: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yield where parts begin and end: together they are the whole text, in its order."""
    overlap, start = min(overlap, size // 2 - 1), 0
    while True:
        end = _end(text, start, size)
        yield start, end
        if end == len(text):
            return
        start = _again(text, end - overlap, end)


def _end(text: str, start: int, size: int) -> int:
    """Return where a part ends: the last good place in the second half of what it may have."""
    if len(text) - start <= size:
        return len(text)
    for pattern in _ENDS:
        places = [one.end() for one in pattern.finditer(text, start + size // 2, start + size)]
        if places:
            return places[-1]
    return start + size


def _again(text: str, earliest: int, end: int) -> int:
    """Return where the next part begins: with a whole sentence of the last one, if one is there."""
    for pattern in _ENDS[:3]:
        place = pattern.search(text, earliest, end)
        if place and place.end() < end:
            return place.end()
    return earliest
