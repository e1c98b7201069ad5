"""The conversation as it is stored: one document for each user of an account.

Stored documents outlive releases, so the rules of events hold here too: new fields have defaults,
and none is renamed.
"""

from typing import Literal

from msgspec import Struct
from queqiao_common.events import Delivery, Prompt, ScreenedMessage, Waiting

Kind = Literal["question", "notice", "reset"]


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
    version: int = 1
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
