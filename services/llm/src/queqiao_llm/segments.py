"""Cutting an answer into pieces while it is being written. Pure."""

import re

PARAGRAPH_END = re.compile(r"\n(?:[^\S\n]*\n)+(?=[^\S\n]*\S)")
BLANK_LINES = re.compile(r"\A(?:[^\S\n]*\n)+")
FENCE = re.compile(r"^[^\S\n]{0,3}(?:```|~~~)", re.MULTILINE)


class Segmenter:
    """Closes a piece at the first paragraph end after `segment_bytes` bytes of UTF-8.

    A piece is never closed inside a code block, and only when more text follows, so that the last
    piece is never empty. Joined by blank lines, the pieces are the text.
    """

    def __init__(self, segment_bytes: int) -> None:
        self._least = segment_bytes
        self._text = ""
        self._searched = 0

    def feed(self, text: str) -> list[str]:
        """Take more of the answer and return the pieces that it closes."""
        self._text += text
        pieces = []
        while (piece := self._close()) is not None:
            pieces.append(piece)
        return pieces

    def finish(self) -> str:
        """Return the last piece; empty only where the whole answer was blank."""
        last, self._text, self._searched = _trimmed(self._text), "", 0
        return last

    def _close(self) -> str | None:
        for end in PARAGRAPH_END.finditer(self._text, self._searched):
            piece = _trimmed(self._text[: end.start()])
            if piece and len(piece.encode()) >= self._least and not _is_in_code(piece):
                self._text, self._searched = self._text[end.end() :], 0
                return piece
        # Another paragraph end can only begin in the blanks at the end.
        self._searched = len(self._text.rstrip())
        return None


def _trimmed(piece: str) -> str:
    """Take away blank lines, but no indentation: it may be code."""
    return BLANK_LINES.sub("", piece.rstrip())


def _is_in_code(piece: str) -> bool:
    return len(FENCE.findall(piece)) % 2 == 1
