"""Server-sent events, as far as model APIs use them: the `data` of each event. Pure.

Tolerant of what real servers send (CRLF, comments, other fields, no space after the colon, a last
line without its end), and bounded, as the other side may send anything.
"""

MAX_LINE = 1024 * 1024


class LineTooLongError(ValueError):
    """A line goes on for more than `MAX_LINE` bytes."""


class EventReader:
    """Cuts a stream of bytes into the payloads of its `data:` lines.

    Model APIs put one JSON document on one line, so lines are not joined to events: a reader that
    waits for the blank line would be later, and lose the last event of a server that omits it.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, body: bytes) -> list[bytes]:
        """Return the payloads that these bytes complete.

        Raises:
            LineTooLongError: there is no end of line in sight.
        """
        lines = (self._rest + body).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE:
            raise LineTooLongError(f"a line of more than {MAX_LINE} bytes")
        return [payload for line in lines if (payload := _payload(line))]

    def finish(self) -> list[bytes]:
        """Return the payload of a last line that was not ended."""
        last, self._rest = self._rest, b""
        return [payload] if (payload := _payload(last)) else []


def _payload(line: bytes) -> bytes:
    return line[5:].strip() if line.startswith(b"data:") else b""
