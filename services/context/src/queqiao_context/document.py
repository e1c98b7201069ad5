"""The conversation as it is stored: one document for each user of an account.

Stored documents outlive releases, so the rules of events hold here too: new fields have defaults,
and none is renamed. During an upgrade a replica of the older release drops the new fields of what
it rewrites: they must be such that this costs nothing. What cannot be said like that raises
`VERSION`, with a step that brings older documents up to date as they are read.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct
from queqiao_common.errors import Postponed
from queqiao_common.events import Card, Delivery, Media, Menu, Prompt, ScreenedMessage, Waiting

Kind = Literal["question", "notice", "reset", "handover", "transfer", "back"]
"""What a turn is for.

A model answers a `question`, the others have a fixed text: a `notice` says it and no more, `reset`
begins anew, `handover` gives the user to a person and `back` takes them back. A `transfer` has none
even of that: it passes one message on to the person.
"""
Table = dict[str, Any]
Steps = Mapping[int, Callable[[Table], Table]]

VERSION = 2
STEPS: Steps = {
    1: lambda table: table,  # all that is new has a default; what an older release would drop of it
    # (who talks to the user, what shall be forgotten) it may not rewrite
}
"""How a document of version n becomes one of n + 1."""


class Asked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something of the user's that will be answered: a question, or a cause to say a fixed text.

    `text` is the question (empty for pictures without words), else what to say. `traceparent`
    belongs to the newest message in it. With `persona` the user is switched to that one first.
    Pictures wait until `hold_ms` for more. What is to be forgotten (`forget`) is answered all the
    same, but leaves no history.
    """

    kind: Kind
    text: str
    waiting: tuple[Waiting, ...] = ()
    traceparent: str = ""
    media: tuple[str, ...] = ()
    hold_ms: int = 0
    menu_id: str = ""
    peer: str = ""
    persona: str = ""
    forget: bool = False
    cards: tuple[Card, ...] = ()


class Arrival(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A screened message that waits for an earlier one of the same conversation, since when."""

    screened: ScreenedMessage
    traceparent: str = ""
    since_ms: int = 0


class Piece(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of the answer that has not been released yet; `ai`: a model wrote it."""

    number: int
    text: str
    ai: bool = True
    menu: Menu | None = None
    media: tuple[Media, ...] = ()
    cards: tuple[Card, ...] = ()


class Turn(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange in flight: what was asked, and how far the answer has come.

    `final` is the number of the last piece, once it is known; `released` the number of the next
    one to release; `said` what has been released. With `handover` the user is given to a person at
    its end; the `postscript` is said with its last delivery. `failed`: it ended with the apology.
    """

    number: int
    kind: Kind
    question: str
    waiting: tuple[Waiting, ...]
    deadline_ms: int
    traceparent: str = ""
    attempt: int = 0
    pieces: tuple[Piece, ...] = ()
    released: int = 0
    final: int | None = None
    said: str = ""
    deliveries: int = 0
    media: tuple[str, ...] = ()
    menu_id: str = ""
    peer: str = ""
    handover: bool = False
    postscript: str = ""
    failed: bool = False
    page: str = ""


class Handed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The user talks to a person: since when, and when they wrote last; `why` is for operators.

    `reached`: the platform has taken the user or a message over at least once.
    """

    since_ms: int
    seen_ms: int
    why: str = ""
    reached: bool = False


class Summing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A summary that was asked for: of the first `count` fallen messages, up to turn `upto`.

    `failed`: it came back empty; another is asked for later.
    """

    upto: int
    count: int
    asked_ms: int
    failed: bool = False


class Conversation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that is kept of one user's conversation with one account.

    `cursor` is the stream sequence up to which the user's messages are absorbed, in the stream
    that was created at `epoch`. `out` is the one delivery that egress has in hand. `parked` counts
    the parts that wait in the mailbox, and `collect` are messages that came to fetch them.

    `persona` is whom the user was switched to (empty: the account's), `handed` the person they talk
    to, `back` whether the platform has yet to be told that they no longer do, `failures` how many
    questions in a row ended with the apology. `summary` covers the turns up to `upto`; `fallen` are
    messages that fit no longer into the history and are not part of it yet. Turns up to `forgotten`
    are to leave nothing behind.
    """

    account: str
    conv: str
    version: int = 1  # absent from the first release's documents, so it stays the default
    openid: str = ""
    epoch: str = ""
    cursor: int = 0
    early: tuple[Arrival, ...] = ()
    queue: tuple[Asked, ...] = ()
    turns: int = 0
    turn: Turn | None = None
    out: Delivery | None = None
    parked: int = 0
    collect: tuple[Waiting, ...] = ()
    history: tuple[Prompt, ...] = ()
    active_ms: int = 0
    persona: str = ""
    handed: Handed | None = None
    back: bool = False
    failures: int = 0
    summary: str = ""
    upto: int = 0
    fallen: tuple[Prompt, ...] = ()
    summing: Summing | None = None
    forgotten: int = 0

    @property
    def key(self) -> str:
        """Where it is stored."""
        return f"{self.account}.{self.conv}"


class _Stored(Struct):
    version: int = 1


_version = msgspec.json.Decoder(_Stored).decode
_decode = msgspec.json.Decoder(Conversation).decode


def read(body: bytes, *, version: int = VERSION, steps: Steps = STEPS) -> Conversation:
    """Decode a stored conversation, whichever release wrote it.

    Raises:
        Postponed: a newer release wrote it; one of its replicas shall handle the event.
    """
    found = _version(body).version
    if found > version:
        raise Postponed(f"a conversation of version {found}: known here are {version}", after=1.0)
    if found == version:
        return _decode(body)
    table: Table = msgspec.json.decode(body)
    for number in range(found, version):
        table = steps[number](table) | {"version": number + 1}
    return msgspec.convert(table, Conversation)
