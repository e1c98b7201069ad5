"""Text as a WeChat chat can show it: cleaned, measured in bytes, cut into parts."""

import re

import regex

_LONGEST_CHARACTER = 4  # bytes of UTF-8
_LOOKAHEAD = 64  # characters after the window that a break may need to see

# What XML 1.0 cannot carry makes a reply malformed; the rest shows as boxes or not at all.
_UNSHOWABLE = re.compile(
    r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F\uD800-\uDFFF\uFDD0-\uFDEF"
    + "".join(rf"\U{plane:04X}FFFE\U{plane:04X}FFFF" for plane in range(17))
    + "]"
)
_CLOSERS = r"[”’」』）】》〉\"')\]]*"
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE = re.compile(
    # An ASCII mark ends a sentence only before a space or non-ASCII: not in 3.14, not in a URL.
    rf"(?:[。！？；…]+|[.!?;]+(?![!-~])){_CLOSERS}\s*|\n\s*"
)
_CLAUSE = re.compile(r"[，、：]\s*|,(?![!-~])\s*|\s+")
_LINK = re.compile(r"<a\b[^<>]*>(?:(?!<a\b).)*?</a>", re.IGNORECASE | re.DOTALL)
_GRAPHEME = regex.compile(r"\X")

# Best first, each with the share of the limit that the part must fill: a good place early in the
# text is worth less than a fair one near the end, for the number of messages is limited.
_PLACES = (
    (_PARAGRAPH, 1 / 2),
    (_SENTENCE, 1 / 3),
    (_CLAUSE, 1 / 4),
    (_SENTENCE, 0),
    (_CLAUSE, 0),
)


def clean_text(text: str) -> str:
    """Return the text with line ends as `\\n` and without the characters WeChat cannot show.

    Those are control characters other than tab and newline, non-characters and lone surrogates.
    """
    return _UNSHOWABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def size(text: str) -> int:
    """Return the length in bytes of UTF-8, which is what WeChat counts."""
    return len(_encode(text))


def split_text(text: str, limit_bytes: int) -> list[str]:
    """Cut text into parts that WeChat accepts.

    A part has at most `limit_bytes` of UTF-8 and ends after a paragraph, a sentence, a clause or a
    word where it can; never inside a code point, and never inside a grapheme cluster or an
    `<a ...>...</a>` unless that is longer than the limit by itself. Joined, the parts are the
    text, so a part may begin or end with white space, or consist of it.

    Raises:
        ValueError: `limit_bytes` is below 4, the longest UTF-8 character.

    Source: measured by users, not documented by WeChat (protocol reference 4.2).
    """
    parts = []
    while text:
        head, text = fit(text, limit_bytes)
        parts.append(head)
    return parts


def fit(text: str, limit_bytes: int) -> tuple[str, str]:
    """Cut once: what `split_text` would make the first part, and the rest.

    Raises:
        ValueError: `limit_bytes` is below 4, the longest UTF-8 character.
    """
    if limit_bytes < _LONGEST_CHARACTER:
        raise ValueError(
            f"limit of {limit_bytes} bytes is shorter than one UTF-8 character"
            f" ({_LONGEST_CHARACTER})"
        )
    window = _window(text, limit_bytes)
    if window == len(text):
        return text, ""
    cut = _best_cut(text, window, limit_bytes)
    return text[:cut], text[cut:]


def _window(text: str, limit_bytes: int) -> int:
    """Return how many characters, counted from the start, fit into the limit."""
    start = text[:limit_bytes]  # no character is shorter than a byte
    encoded = _encode(start)
    if len(encoded) <= limit_bytes:
        return len(start)
    end = limit_bytes
    while encoded[end] & 0xC0 == 0x80:  # a continuation byte: its character does not fit
        end -= 1
    return len(encoded[:end].decode("utf-8", "surrogatepass"))


def _best_cut(text: str, window: int, limit_bytes: int) -> int:
    clusters = _cluster_ends(text, window)
    whole = _outside_links(text, clusters, window, limit_bytes)
    for place, share in _PLACES:
        # Characters stand for bytes here: the share is a matter of taste, the limit is not.
        ends = [
            match.end()
            for match in place.finditer(text, 0, window + _LOOKAHEAD)
            if window * share <= match.end() <= window
        ]
        if cut := max(whole.intersection(ends), default=0):
            return cut
    return max(whole, default=0) or max(clusters, default=0) or window


def _cluster_ends(text: str, window: int) -> set[int]:
    # One character more than the window shows whether the last cluster goes on.
    ends = (match.end() for match in _GRAPHEME.finditer(text, 0, window + 1))
    return {end for end in ends if end <= window}


def _outside_links(text: str, ends: set[int], window: int, limit_bytes: int) -> set[int]:
    links = [
        match.span()
        for match in _LINK.finditer(text, 0, window + limit_bytes)
        if match.start() < window and size(match[0]) <= limit_bytes
    ]
    return {end for end in ends if not any(start < end < stop for start, stop in links)}


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
