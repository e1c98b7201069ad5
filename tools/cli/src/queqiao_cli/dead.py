"""`queqiao dead`: look at events that could not be processed, run them again, or drop them.

A letter is named by its sequence in the stream. Its body is what a user or a model said, so it is
shown only when asked for.
"""

import argparse
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import msgspec
from msgspec import Struct
from queqiao_common.bus import Bus
from queqiao_common.events import UNREADABLE, DeadLetter, InboundMessage, encode
from queqiao_common.topology import (
    DEAD,
    DEAD_LETTERS,
    INBOUND,
    MEDIA_FETCHED,
    MEDIA_READY,
    MEDIA_WANTED,
    SCREENED,
)

from queqiao_cli.stored import Entry, entries, entry_at, erase, opened
from queqiao_cli.terminal import complain, say

ALL_LETTERS = "dead.>"
REPLAYED = re.compile(r"(?P<id>.*):replay-(?P<times>[0-9]+)")
MESSAGE_ID = "Nats-Msg-Id"
BEFORE_THE_TURN = (SCREENED, MEDIA_WANTED, MEDIA_FETCHED, MEDIA_READY)
"""Between a message and its turn: the conversation was told, and has gone past the message."""


@dataclass(frozen=True)
class Letter:
    """A dead letter and where it lies."""

    number: int
    age: float  # seconds
    letter: DeadLetter


async def list_letters(options: argparse.Namespace) -> int:
    """Print a line for each letter."""
    async with opened(options) as (_, bus):
        found = [letter async for letter in letters(bus)]
    rows = [("ID", "ACCOUNT", "CONSUMER", "TRIES", "AGE", "REASON"), *map(row, found)]
    say(*aligned(rows) if found else ["no dead letters"])
    return 0


async def show(options: argparse.Namespace) -> int:
    """Print what is known of one letter; its body only with `--body`."""
    async with opened(options) as (_, bus):
        found = await letter_at(bus, options.id)
    if found is None:
        return _unknown(options.id)
    say(*described(found, body=options.body))
    return 0


async def replay(options: argparse.Namespace) -> int:
    """Publish events again where they came from, and erase their letters."""
    return await _each(options, _replay)


async def drop(options: argparse.Namespace) -> int:
    """Erase letters."""
    return await _each(options, _drop)


async def _replay(bus: Bus, found: Letter) -> str:
    letter = found.letter
    event_id = next_id(letter.headers.get(MESSAGE_ID) or letter.id)
    subject, body = beginning(letter)
    await bus.publish(subject, body, event_id=event_id, headers=kept_headers(letter.headers))
    await erase(bus, DEAD.name, found.number)
    return f"{found.number}: published again on {subject} as {event_id}"


async def _drop(bus: Bus, found: Letter) -> str:
    await erase(bus, DEAD.name, found.number)
    return f"{found.number}: dropped"


async def _each(options: argparse.Namespace, act: Callable[[Bus, Letter], Awaitable[str]]) -> int:
    """Do something to every letter that the command names; 1 when one does not exist."""
    if bool(options.ids) == options.all:
        complain("name the letters by their ids, or all of them: --all")
        return 2
    code = 0
    async with opened(options) as (_, bus):
        numbers = [one.number async for one in letters(bus)] if options.all else options.ids
        for number in numbers:
            found = await letter_at(bus, number)
            if found is None:
                code = _unknown(number)
            else:
                say(await act(bus, found))
    return code


async def letters(bus: Bus) -> AsyncIterator[Letter]:
    """Walk all letters, oldest first."""
    async for entry in entries(bus, DEAD.name, ALL_LETTERS):
        yield _read(entry)


async def letter_at(bus: Bus, number: int) -> Letter | None:
    """Return one letter; the stream also holds the broker's own notices, which are none."""
    entry = await entry_at(bus, DEAD.name, number)
    return _read(entry) if entry and entry.subject.startswith(DEAD_LETTERS.template) else None


def _read(entry: Entry) -> Letter:
    letter = msgspec.json.decode(entry.data, type=DeadLetter)
    return Letter(entry.seq, time.time() - entry.time.timestamp(), letter)


def next_id(event_id: str) -> str:
    """Return the id of the next replay of an event.

    It must be a new one, or the stream would drop it as a repeat; and the same one for a replay
    that is itself repeated, so that it drops that.
    """
    before = REPLAYED.fullmatch(event_id)
    if before is None:
        return f"{event_id}:replay-1"
    return f"{before['id']}:replay-{int(before['times']) + 1}"


class _Carrier(Struct):
    message: InboundMessage | None = None


def beginning(letter: DeadLetter) -> tuple[str, bytes]:
    """Return the subject and body to publish: the event's own, or those of the message in it.

    What was given up on a message's way to its turn would come too late for its place in the
    conversation, so that the message itself is run again, with a place of its own.
    """
    if letter.subject.startswith(tuple(f"{one.template}." for one in BEFORE_THE_TURN)):
        with contextlib.suppress(*UNREADABLE):
            message = msgspec.json.decode(letter.body, type=_Carrier).message
            if message is not None:
                return INBOUND.of(message), encode(message)
    return letter.subject, letter.body


def kept_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers that a replay keeps: its trace, and nothing that the broker obeys."""
    return {key: value for key, value in headers.items() if not key.lower().startswith("nats-")}


def row(found: Letter) -> tuple[str, ...]:
    """Return a letter's cells in the list."""
    letter = found.letter
    return (
        str(found.number),
        letter.account,
        letter.consumer,
        str(letter.attempts),
        spoken(found.age),
        letter.reason,
    )


def described(found: Letter, *, body: bool) -> list[str]:
    """Return what `show` prints."""
    letter = found.letter
    lines = [
        f"letter    {found.number}, {spoken(found.age)} old",
        f"account   {letter.account}",
        f"consumer  {letter.consumer}, given up after {letter.attempts} attempts",
        f"reason    {letter.reason}",
        f"event     {letter.subject}, sequence {letter.sequence} of {letter.stream}",
        *(f"header    {key}: {value}" for key, value in sorted(letter.headers.items())),
    ]
    if not body:
        return [*lines, f"body      {len(letter.body)} bytes; personal: --body shows it"]
    return [*lines, "body", letter.body.decode(errors="replace")]


def spoken(seconds: float) -> str:
    """Return an age in its largest unit."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Set rows in columns; the last one is as wide as it likes."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in rows
    ]


def _unknown(number: int) -> int:
    complain(f"no dead letter has the id {number}")
    return 1
