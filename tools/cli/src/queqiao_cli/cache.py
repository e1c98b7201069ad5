"""`queqiao cache`, `queqiao warm`: the answers that everybody gets, for operators to look after.

An answer is named by the beginning of the last part of its key. The questions are printed: what
names a person or a day never entered.
"""

import argparse
import asyncio
import csv
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct, structs
from queqiao_common.bus import Bus
from queqiao_common.errors import PermanentError, SettingsError
from queqiao_common.events import CompletionRequest, Prompt
from queqiao_common.knowledge import version_of
from queqiao_common.kv import Documents, JetStreamDocuments
from queqiao_common.settings import Account, Config
from queqiao_common.topology import ANSWERS
from queqiao_llm.answers import WARMING, Answer, key_of, lives, shelf_in, shelf_of
from queqiao_llm.cacheable import unfit
from queqiao_llm.routing import routes_of

from queqiao_cli.dead import aligned, spoken
from queqiao_cli.knowledge.stored import digests
from queqiao_cli.stored import entries, erase, opened
from queqiao_cli.terminal import complain, say

KEYS = f"$KV.{ANSWERS.name}."
SHOWN = 8
"""Characters of an id in the list; as few as are unambiguous name an answer."""
AT_ONCE = 4
"""Questions before the models at the same time: warming must not push users aside."""
DEADLINE = 60.0
LOOK = 0.25
NO_DOCUMENTS: Mapping[str, str] = {}

_decode = msgspec.json.Decoder(Answer).decode


@dataclass(frozen=True)
class Kept:
    """An answer and where it lies."""

    key: str
    sequence: int
    answer: Answer

    @property
    def id(self) -> str:
        """What names it on the command line."""
        return self.key.rpartition(".")[2]


class Line(Struct, frozen=True):
    """A line of the file that warms the cache; without an answer, a model is asked."""

    number: int
    question: str
    answer: str = ""


# -- looking and changing --------------------------------------------------------------------


async def list_answers(options: argparse.Namespace) -> int:
    """Print a line for each answer."""
    async with opened(options) as (config, bus):
        found = [kept async for kept in answers(bus)]
        known = shelves(config, await digests(bus))
    rows: list[tuple[str, ...]] = [("ID", "ACCOUNT", "HITS", "KEPT", "SOURCE", "QUESTION")]
    rows += [row(one, in_use=shelf_in(one.key) in known) for one in found]
    say(*aligned(rows) if found else ["no answers"])
    return 0


async def show(options: argparse.Namespace) -> int:
    """Print one answer."""
    async with opened(options) as (_, bus):
        kept = await _named(bus, options.id)
    say(f"id        {kept.id}", f"account   {kept.key.partition('.')[0]}")
    say(f"question  {kept.answer.question}", f"hits      {kept.answer.hits}")
    say(f"kept      {_remaining(kept.answer)}", f"source    {kept.answer.source}", "")
    say(kept.answer.text)
    return 0


async def pin(options: argparse.Namespace) -> int:
    """Keep answers for good."""
    return await _change(options, lambda old: structs.replace(old, pinned=True, expires_ms=0))


async def edit(options: argparse.Namespace) -> int:
    """Put another text in the place of an answer, and keep it for good."""
    text = (sys.stdin.read() if options.text == "-" else options.text).strip()
    if not text:
        complain("an answer without a word; to remove it: queqiao cache withdraw")
        return 2
    return await _change(
        options,
        lambda old: structs.replace(
            old, text=text, pinned=True, expires_ms=0, source="operator", created_ms=_now_ms()
        ),
    )


async def withdraw(options: argparse.Namespace) -> int:
    """Remove answers for good; every replica forgets them at once."""
    async with opened(options) as (_, bus):
        for name in options.ids:
            kept = await _named(bus, name)
            await erase(bus, ANSWERS.stream, kept.sequence)
            await _documents(bus).delete(kept.key)
            say(f"{kept.id[:SHOWN]}: withdrawn")
    return 0


async def _change(options: argparse.Namespace, to: Callable[[Answer], Answer]) -> int:
    def change(old: Answer | None) -> tuple[Answer | None, bool]:
        return (to(old), True) if old and old.text else (None, False)

    async with opened(options) as (_, bus):
        for name in options.ids:
            kept = await _named(bus, name)
            done = await _documents(bus).update(kept.key, change)
            say(f"{kept.id[:SHOWN]}: {'kept for good' if done else 'gone meanwhile'}")
    return 0


async def answers(bus: Bus) -> AsyncIterator[Kept]:
    """Walk all answers, the one written last at the end; leases are none."""
    async for entry in entries(bus, ANSWERS.stream, f"{KEYS}>"):
        answer = _decode(entry.data) if entry.data else None
        if answer is not None and answer.text:
            yield Kept(entry.subject.removeprefix(KEYS), entry.seq, answer)


async def _named(bus: Bus, name: str) -> Kept:
    """Return the answer whose id begins so.

    Raises:
        PermanentError: there is none, or more than one.
    """
    found = [kept async for kept in answers(bus) if kept.id.startswith(name)]
    if len(found) != 1:
        problem = "no answer has" if not found else f"{len(found)} answers have"
        raise PermanentError(f"{problem} an id that begins with {name!r}")
    return found[0]


def row(kept: Kept, *, in_use: bool) -> tuple[str, ...]:
    """Return an answer's cells in the list."""
    answer = kept.answer
    return (
        kept.id[:SHOWN],
        kept.key.partition(".")[0],
        str(answer.hits),
        _remaining(answer) if in_use else "unused: other persona or model",
        answer.source,
        answer.question,
    )


def _remaining(answer: Answer) -> str:
    if not answer.expires_ms:
        return "for good"
    return f"for {spoken((answer.expires_ms - _now_ms()) / 1000)}"


# -- warming ---------------------------------------------------------------------------------


async def warm(options: argparse.Namespace) -> int:
    """Keep answers before anybody asks: those that the file gives, the others from the models.

    The models are asked through the running llm service, as a turn of a conversation that nobody
    has: it alone has their keys, and what it keeps is found under the very key it will look for.
    """
    lines = list(read(options.file))
    async with opened(options) as (config, bus):
        account = find(config, options.account)
        room = asyncio.Semaphore(AT_ONCE)

        async def one(line: Line) -> bool:
            async with room:
                said, is_kept = await _warm_one(config, bus, account, line, pins=options.pin)
            (say if is_kept else complain)(f"{line.number}: {said}: {line.question}")
            return is_kept

        done = await asyncio.gather(*(one(line) for line in lines))
    say(f"{sum(done)} of {len(done)} are kept")
    return 0 if all(done) else 1


async def _warm_one(
    config: Config, bus: Bus, account: Account, line: Line, *, pins: bool
) -> tuple[str, bool]:
    """Keep the answer to one question; say what was done, and whether it is there now."""
    if reason := unfit(line.question):
        return f"not for everybody ({reason})", False
    documents = _documents(bus)
    key = key_of(shelf(config, account, await digests(bus)), line.question)
    if line.answer:
        await documents.update(key, lambda _: (_written(line), None))
        return "written, for good", True
    known = (await documents.get(key)).value
    if known is None or not known.text:
        await bus.publish_event(turn(config, account, line.question))
        if not await _appears(documents, key):
            return "no answer in time", False
    if pins:
        await documents.update(key, _pinned)
    return ("there already" if known and known.text else "answered"), True


async def _appears(documents: Documents[Answer], key: str) -> bool:
    """Wait until an answer lies under a key."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        await asyncio.sleep(LOOK)
        found = (await documents.get(key)).value
        if found is not None and found.text:
            return True
    return False


def _written(line: Line) -> Answer:
    return Answer(
        question=line.question,
        text=line.answer,
        created_ms=_now_ms(),
        pinned=True,
        source="operator",
    )


def _pinned(old: Answer | None) -> tuple[Answer | None, None]:
    return (structs.replace(old, pinned=True, expires_ms=0) if old and old.text else None), None


def turn(config: Config, account: Account, question: str) -> CompletionRequest:
    """Return a question that nobody asked, as context would put it."""
    persona, unique = config.persona(account.persona), uuid.uuid4().hex
    system = [Prompt("system", persona.prompt)] if persona.prompt else []
    return CompletionRequest(
        id=f"req:{WARMING}:{unique}",
        account=account.id,
        conv=WARMING,
        turn_id=f"{account.id}.{WARMING}.{unique}",
        route=persona.route,
        prompt=(*system, Prompt("user", question)),
        deadline_ms=_now_ms() + int(DEADLINE * 1000),
        persona=account.persona,
    )


def shelf(config: Config, account: Account, known: Mapping[str, str] = NO_DOCUMENTS) -> str:
    """Return where the answers of an account's persona lie; `known` are digests of documents."""
    persona = config.persona(account.persona)
    looked_up = persona.knowledge if config.knowledge.enabled else ()
    return shelf_of(
        account=account.id,
        persona=persona.prompt,
        route=persona.route,
        models=routes_of(config).get(persona.route, ()),
        knowledge=version_of(known, looked_up),
    )


def shelves(config: Config, known: Mapping[str, str] = NO_DOCUMENTS) -> set[str]:
    """Return where answers lie that can still be found, as this configuration has it."""
    return {shelf(config, account, known) for account in config.accounts}


def find(config: Config, name: str | None) -> Account:
    """Return the account with this id, or the only one.

    Raises:
        SettingsError: there is none, or several and no name.
    """
    found = [one for one in config.accounts if name in {None, one.id}]
    if len(found) != 1:
        known = ", ".join(one.id for one in config.accounts) or "none"
        raise SettingsError((f"name one account by --account; there are: {known}",))
    return found[0]


def read(file: Path) -> Iterable[Line]:
    """Read one question a line, or from a `.csv` file questions with their answers.

    Empty lines and those that begin with `#` do not count, nor does the head `question,answer`.

    Raises:
        SettingsError: the file cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError((f"cannot be read: {error}",), source=str(file)) from None
    if file.suffix.lower() != ".csv":
        cells = [(number, [line]) for number, line in enumerate(text.splitlines(), start=1)]
    else:
        rows = csv.reader(text.splitlines(keepends=True))
        cells = [(rows.line_num, row) for row in rows]
    for number, (question, *answer) in ((number, row) for number, row in cells if row):
        asked = question.strip()
        if asked and not asked.startswith("#") and [asked, *answer][:2] != ["question", "answer"]:
            yield Line(number, asked, "".join(answer[:1]).strip())


def _documents(bus: Bus) -> JetStreamDocuments[Answer]:
    return JetStreamDocuments(bus, ANSWERS, Answer, lives=lives(_now_ms))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
