"""`queqiao conversation`: what is kept of one user, for the operator, for the user, or erased.

A user is named by account and openid; everything is stored under a keyed hash of the two, so the
configuration's pepper is needed to find it.
"""

import argparse
import base64
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct
from queqiao_common.bus import Bus
from queqiao_common.claims import claim_key
from queqiao_common.errors import SettingsError
from queqiao_common.events import DeadLetter
from queqiao_common.ids import conversation_id
from queqiao_common.settings import Config
from queqiao_common.topology import (
    CHANNEL,
    CHAT,
    CLAIMS,
    CONVERSATIONS,
    DEAD,
    DISPLAYS,
    LIMITS,
    LLM,
    MAILBOX,
    NOTES,
    PAGES,
    PASSIVE,
    PEOPLE,
    QUOTA,
    REPLY,
    SENT,
    TIMERS,
    USAGE,
    Bucket,
)
from queqiao_context.document import Conversation
from queqiao_context.notes import Remembered

from queqiao_cli.dead import spoken
from queqiao_cli.stored import Entry, entries, erase, next_entry, opened
from queqiao_cli.terminal import complain, say

DOCUMENTS = (CONVERSATIONS, NOTES, MAILBOX, QUOTA, LIMITS, PEOPLE)


@dataclass(frozen=True)
class User:
    """One user of one account, by the name under which everything is stored."""

    account: str
    conv: str

    @property
    def key(self) -> str:
        """The key of the user's documents."""
        return f"{self.account}.{self.conv}"


@dataclass(frozen=True)
class Place:
    """Where something of a user may lie: all that matches the subject, or some of it (`owned`)."""

    stream: str
    subject: str
    owned: Callable[[bytes], bool] = lambda _: True


class _Owned(Struct):
    conv: str = ""
    msgid: str = ""
    page: str = ""


_decode_owned = msgspec.json.Decoder(_Owned).decode
_decode_letter = msgspec.json.Decoder(DeadLetter).decode


async def show(options: argparse.Namespace) -> int:
    """Print a summary without a word of what was said."""
    async with opened(options) as (config, bus):
        user = find(config, options.account, options.openid)
        document = await _document(bus, CONVERSATIONS, user.key)
        parked = await _document(bus, MAILBOX, user.key)
        notes = await _document(bus, NOTES, user.key)
        kept = [entry async for entry in entries(bus, CHAT.name, _spoken_subject(user))]
    talk = msgspec.json.decode(document.data, type=Conversation) if document else None
    numbers = Numbers(
        messages=len(kept),
        is_parked=parked is not None,
        notes=len(msgspec.json.decode(notes.data, type=Remembered).facts) if notes else 0,
    )
    say(*summary(user, talk, numbers, now=time.time()))
    return 0


async def export(options: argparse.Namespace) -> int:
    """Print all that is kept of a user as one JSON document."""
    async with opened(options) as (config, bus):
        user = find(config, options.account, options.openid)
        documents = {one.name: await _document(bus, one, user.key) for one in DOCUMENTS}
        events = [entry async for entry in everything(bus, user)]
    whole = {
        "account": user.account,
        "openid": options.openid,
        "conv": user.conv,
        **{name: entry and msgspec.Raw(entry.data) for name, entry in documents.items()},
        "events": [exported(entry) for entry in events if not entry.subject.startswith("$KV.")],
    }
    say(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())
    return 0


async def forget(options: argparse.Namespace) -> int:
    """Erase all that is kept of a user; without `--yes` only say how much it is."""
    async with opened(options) as (config, bus):
        user = find(config, options.account, options.openid)
        if not options.yes:
            count = len([entry async for entry in everything(bus, user)])
            complain(f"{count} entries would be erased for good; to do it: --yes")
            return 1
        say(f"{await erase_all(bus, user)} entries erased")
    return 0


def find(config: Config, account_id: str, openid: str) -> User:
    """Return the stored name of a user.

    Raises:
        SettingsError: there is no such account, or its pepper is missing in this environment.
    """
    account = config.account(account_id)
    if account is None:
        known = ", ".join(one.id for one in config.accounts) or "none"
        raise SettingsError((f"no account has the id {account_id!r}; there are: {known}",))
    pepper = config.pepper(account)
    return User(account_id, conversation_id(pepper=pepper, account=account_id, openid=openid))


def places(user: User) -> tuple[Place, ...]:
    """Return where events and documents of a user lie, in the order in which they are erased.

    Events first: context would absorb again what it found without a document.
    """

    def owned(body: bytes) -> bool:
        return _owner(body).conv == user.conv

    def owned_letter(body: bytes) -> bool:
        return owned(_decode_letter(body).body)

    return (
        Place(CHAT.name, _spoken_subject(user)),
        Place(LLM.name, "llm.request.*", owned),
        Place(REPLY.name, f"reply.*.{user.account}", owned),
        Place(CHANNEL.name, f"media.*.{user.account}", owned),
        Place(PASSIVE.name, f"passive.*.{user.account}", owned),
        Place(TIMERS.name, f"timer.{user.key}"),
        Place(TIMERS.name, f"turn.timeout.{user.account}", owned),
        Place(DEAD.name, "dead.>", owned_letter),
        *(Place(bucket.stream, f"$KV.{bucket.name}.{user.key}") for bucket in DOCUMENTS),
        Place(SENT.stream, f"$KV.{SENT.name}.{user.key}.>"),
        Place(USAGE.stream, f"$KV.{USAGE.name}.*.user.{user.key}"),
    )


async def everything(bus: Bus, user: User) -> AsyncIterator[Entry]:
    """Walk all that is stored of a user; streams without the user in a subject are read whole."""
    async for _, entry in _located(bus, user):
        yield entry


async def erase_all(bus: Bus, user: User) -> int:
    """Erase all that is stored of a user, and return how much it was."""
    count = 0
    async for stream, entry in _located(bus, user):
        await erase(bus, stream, entry.seq)
        count += 1
    return count


async def _located(bus: Bus, user: User) -> AsyncIterator[tuple[str, Entry]]:
    msgids: set[str] = set()
    pages: set[str] = set()
    for place in places(user):
        async for entry in entries(bus, place.stream, place.subject):
            if place.owned(entry.data):
                owned = _owner(entry.data)
                msgids.add(owned.msgid if place.stream == CHAT.name else "")
                pages.add(owned.page)
                yield place.stream, entry
    for bucket, key in _beside(user, msgids - {""}, pages - {""}):
        async for entry in entries(bus, bucket.stream, f"$KV.{bucket.name}.{key}"):
            yield bucket.stream, entry


def _beside(user: User, msgids: set[str], pages: set[str]) -> Iterator[tuple[Bucket, str]]:
    """Name what holds a reply's text under the id of a message or a page, not the user's."""
    for msgid in sorted(msgids):
        key = claim_key(user.account, msgid)
        yield from ((CLAIMS, key), (CLAIMS, f"{key}.>"), (DISPLAYS, key))
    yield from ((PAGES, page) for page in sorted(pages))


def _owner(body: bytes) -> _Owned:
    try:
        return _decode_owned(body)
    except msgspec.MsgspecError:  # whatever it is, it names no user
        return _Owned()


def _spoken_subject(user: User) -> str:
    return f"chat.*.{user.key}"


async def _document(bus: Bus, bucket: Bucket, key: str) -> Entry | None:
    """Return a document; a deletion marker is none."""
    entry = await next_entry(bus, bucket.stream, f"$KV.{bucket.name}.{key}")
    return entry if entry and entry.data else None


def exported(entry: Entry) -> dict[str, Any]:
    """Return an event for the user's copy."""
    try:
        event = msgspec.json.decode(entry.data)
    except msgspec.MsgspecError:
        event = base64.b64encode(entry.data).decode()
    return {"subject": entry.subject, "sequence": entry.seq, "time": entry.time, "event": event}


@dataclass(frozen=True)
class Numbers:
    """What is known of a user beside the conversation: events, replies kept back, notes."""

    messages: int = 0
    is_parked: bool = False
    notes: int = 0


def summary(user: User, talk: Conversation | None, numbers: Numbers, *, now: float) -> list[str]:
    """Describe a conversation in numbers."""
    head = f"conversation  {user.conv} of account {user.account}"
    events = f"events        {numbers.messages} of what was said are still in the stream"
    notes = f"notes         {numbers.notes}"
    if talk is None:
        return [head, "document      none", notes, events]
    turn = person = "none"
    if talk.turn is not None:
        left = talk.turn.deadline_ms / 1000 - now
        turn = f"number {talk.turn.number} ({talk.turn.kind}), deadline in {left:.0f} s"
    if talk.handed is not None:
        since = spoken(now - talk.handed.since_ms / 1000)
        person = f"for {since}" + (f" ({talk.handed.why})" if talk.handed.why else "")
    return [
        head,
        f"active        {spoken(now - talk.active_ms / 1000)} ago",
        f"persona       {talk.persona or 'as configured'}",
        f"last turn     {talk.turns}",
        f"in flight     {turn}",
        f"with a person {person}",
        f"waiting       {len(talk.queue)} messages, {len(talk.early)} out of order",
        f"history       {len(talk.history)} messages",
        f"summary       {len(talk.summary)} characters, {len(talk.fallen)} messages wait for it",
        notes,
        f"mailbox       {'holds replies' if numbers.is_parked else 'empty'}",
        events,
    ]
