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
from queqiao_common.errors import TransientError
from queqiao_common.events import Delivery, Prompt, ScreenedMessage, Waiting

Kind = Literal["question", "notice", "reset"]
Table = dict[str, Any]
Steps = Mapping[int, Callable[[Table], Table]]

VERSION = 1
STEPS: Steps = {}
"""How a document of version n becomes one of n + 1."""


class Asked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something of the user's that will be answered: a question, or a cause to say a fixed text.

    `text` is the question, or for a `notice` what to say. `traceparent` belongs to the newest
    message in it.
    """

    kind: Kind
    text: str
    waiting: tuple[Waiting, ...]
    traceparent: str = ""


class Arrival(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A screened message that waits for an earlier one of the same conversation."""

    screened: ScreenedMessage
    traceparent: str = ""


class Piece(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of the answer that has not been released yet."""

    number: int
    text: str
    ai: bool = True


class Turn(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange in flight: what was asked, and how far the answer has come.

    `final` is the number of the last piece, once it is known; `released` the number of the next
    one to release; `said` what has been released.
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


class Conversation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that is kept of one user's conversation with one account.

    `cursor` is the stream sequence up to which the user's messages are absorbed, in the stream
    that was created at `epoch`. `out` is the one delivery that egress has in hand. `parked` counts
    the parts that wait in the mailbox, and `collect` are messages that came to fetch them.
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
        TransientError: a newer release wrote it; one of its replicas shall handle the event.
    """
    found = _version(body).version
    if found > version:
        raise TransientError(
            f"a conversation of version {found}: known here are {version}", after=1
        )
    if found == version:
        return _decode(body)
    table: Table = msgspec.json.decode(body)
    for number in range(found, version):
        table = steps[number](table) | {"version": number + 1}
    return msgspec.convert(table, Conversation)
