"""The port between WeChat's families and the rest: from the bytes of a callback, and back.

A `Door` belongs to one account and knows its family's protocol. What comes out of it says what
shall become of the callback (`Purpose`), and how an answer is written (`Wrapping`): whoever acts on
it need not know which family it was. All of it is pure.

The rule for refusals: 403 until a callback has proved that it comes from WeChat for this account,
400 if it does and still makes no sense.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from queqiao_common.errors import QueqiaoError
from queqiao_common.events import Event, Form, InboundMessage
from queqiao_wechat.text import clean_text

Query = Mapping[str, str]

SUCCESS = b"success"
"""What tells WeChat that all is well and that nothing shall be shown; never encrypted."""

MOST_NAMED = 20
Facts: TypeAlias = Mapping[str, str | list[str]]


class RejectedError(QueqiaoError):
    """A callback that gets `status` and an empty body; `reason` is a constant, fit for a log."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nobody further down acts on it: it is only acknowledged."""


@dataclass(frozen=True, slots=True)
class Say:
    """Answer it at once; nobody further down need know."""

    text: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish the event and acknowledge; whatever follows comes by API.

    With `announces` a reply follows, so that the user may see it being written. With
    `may_hand_over` it is held after all, where its user is known to talk to a person.
    """

    event: Event
    announces: bool = False
    may_hand_over: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Publish the message and hold the request open for its reply.

    With mode `transfer` that is the hand-over to a person, which has no other way: what is to be
    said goes by API, and is announced as of `Publish`.
    """

    event: InboundMessage
    mode: Literal["passive", "auto", "transfer"]
    announces: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """Publish the message; its answer is shown as far as it is written, and asked for again."""

    event: InboundMessage


@dataclass(frozen=True, slots=True)
class Poll:
    """Tell how far the answer to an earlier message is written."""

    account: str
    msgid: str


Purpose: TypeAlias = Ignore | Say | Publish | Hold | Stream | Poll


@dataclass(frozen=True, slots=True)
class Reply:
    """What a callback is told; `form` is what it is beyond a text.

    `is_final` says of a stream that no more will come.
    """

    text: str = ""
    form: Form | None = None
    is_final: bool = True

    @property
    def shows_text(self) -> bool:
        """Whether anything is left of the text once it is cleaned."""
        return bool(clean_text(self.text).strip())


class Wrapping(Protocol):
    """How the answer to one callback is written, and sealed where the callback was."""

    @property
    def media_type(self) -> str:
        """The type of an answer that shows something."""

    def wrap(self, reply: Reply, *, now: int) -> bytes:
        """Return the body of the answer; `now` is in whole seconds since 1970.

        Where there is nothing to show, or nothing that this family can show, it is `SUCCESS` or
        empty: WeChat shows users an error in place of a reply without content.
        """


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback that is believed.

    `takes_text` says whether its answer can hold a text. `facts` are what its log line says of it:
    no text, no openid.
    """

    purpose: Purpose
    wrapping: Wrapping
    facts: Facts = field(default_factory=dict)
    takes_text: bool = True

    @property
    def message(self) -> InboundMessage | None:
        """The user's message or platform event in it, if that is published."""
        match self.purpose:
            case Publish(event=InboundMessage() as event) | Hold(event=event) | Stream(event=event):
                return event
            case _:
                return None


def named(fields: Mapping[str, str]) -> Facts:
    """Return the names of a push's other fields, as facts for a log line (20 at most)."""
    return {"fields": sorted(fields)[:MOST_NAMED]} if fields else {}


class Door(Protocol):
    """The door of one account, its secrets looked up and its ciphers prepared once."""

    def greet(self, query: Query) -> None:
        """Refuse, before its body is read, a callback that its query proves to be nobody's.

        Raises:
            RejectedError: it is not signed with our token, or not at all.
        """

    def verify_url(self, query: Query) -> str:
        """Return what answers the verification of the address.

        Raises:
            RejectedError: it is not signed with our token, or has no `echostr`.
        """

    def admit(self, query: Query, body: bytes, *, received_ms: int) -> Callback:
        """Verify, decrypt and read one callback.

        Raises:
            RejectedError: it is not WeChat's, not for this account, or not a message.
        """
