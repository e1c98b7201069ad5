"""How lines of several processes share one terminal, and our own words beside them."""

import contextlib
import re
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

import msgspec
from queqiao_common.settings import environment

OURS = "queqiao"
RESET = "\x1b[0m"
BOLD, DIM, RED, YELLOW = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m"
PALETTE = ("\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[92m", "\x1b[95m")
# Below a warning, or the echo of our own asking whether it is ready.
CHATTER = re.compile(r"\[\d+\] \S+ \S+ (\[INF\]|\[WRN\] Healthcheck failed)")
LEVELS = {"warning": YELLOW, "error": RED, "critical": RED}


def say(*lines: str) -> None:
    """Write lines to standard output, at once."""
    sys.stdout.write("".join(line + "\n" for line in lines))
    sys.stdout.flush()


def complain(*lines: str) -> None:
    """Write lines to standard error."""
    sys.stderr.write("".join(line + "\n" for line in lines))
    sys.stderr.flush()


def has_colour(stream: TextIO) -> bool:
    """Whether a person looks, and wants colour (https://no-color.org)."""
    return stream.isatty() and not environment("NO_COLOR")


class _LogLine(msgspec.Struct):
    """A line of `telemetry.JsonFormatter`."""

    time: str
    level: str
    event: str


_decode_line = msgspec.json.Decoder(_LogLine).decode
_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode
_SHOWN_ELSEWHERE = frozenset({"time", "level", "event", "service", "exception"})


def readable(line: str) -> tuple[str, str] | None:
    """Turn a line of a process into text for a person and its level; None: not worth showing.

    Our JSON becomes `event key=value`; the broker's chatter is left out.
    """
    if CHATTER.match(line):
        return None
    try:
        log, fields = _decode_line(line), _decode_fields(line)
    except msgspec.MsgspecError:
        return line, ""
    pairs = [f"{key}={value}" for key, value in fields.items() if key not in _SHOWN_ELSEWHERE]
    text = " ".join([log.event, *pairs])
    return f"{text}\n{fields['exception']}" if "exception" in fields else text, log.level


class Terminal:
    """Writes lines, each behind the name of the process it is from.

    For a person (`pretty`) our JSON lines are made readable; a pipe gets them as they are.
    """

    def __init__(self, names: Sequence[str], *, stream: TextIO, pretty: bool, colour: bool) -> None:
        self._stream = stream
        self._pretty = pretty
        self._colour = colour
        self._width = max(len(name) for name in (*names, OURS))
        self._colours = {name: PALETTE[at % len(PALETTE)] for at, name in enumerate(names)}

    def show(self, name: str, line: str) -> None:
        """Write one line of a process."""
        if not self._pretty:
            self._write(name, line, "")
            return
        shown = readable(line)
        if shown is not None:
            for part in shown[0].splitlines():
                self._write(name, f"{time.strftime('%H:%M:%S')} {part}", LEVELS.get(shown[1], ""))

    def note(self, text: str, *, alarm: bool = False) -> None:
        """Write a line of our own."""
        self._write(OURS, text, RED if alarm else BOLD)

    def block(self, text: str) -> None:
        """Write text as it is, for a person to read in peace."""
        self._put(f"\n{text}\n\n")

    def _write(self, name: str, text: str, colour: str) -> None:
        prefix = f"{name:<{self._width}} |"
        if self._colour:
            prefix = f"{self._colours.get(name, BOLD)}{prefix}{RESET}"
            text = f"{colour}{text}{RESET}" if colour else text
        self._put(f"{prefix} {text}\n")

    def _put(self, text: str) -> None:
        # Whoever read may be gone (a closed terminal): what runs has still to be stopped in order.
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
