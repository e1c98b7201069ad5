"""What a model is asked and what it answers, whatever protocol it speaks."""

from collections.abc import AsyncGenerator, Iterable
from enum import StrEnum
from typing import Any, Literal, Protocol

from msgspec import Struct
from queqiao_common.errors import QueqiaoError
from queqiao_common.events import Card, Media, Menu, Prompt

MAX_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer on the wire: what is longer is none."""


class Call(Struct, frozen=True):
    """A call of a tool that a model wishes; `arguments` are JSON, as the model wrote them."""

    id: str
    name: str
    arguments: str


class Tool(Struct, frozen=True):
    """A tool that a model may wish to be called; `parameters` is a JSON Schema."""

    name: str
    description: str
    parameters: dict[str, Any]


class Message(Struct, frozen=True, omit_defaults=True):
    """One message of a question; `pictures` are `data:` URLs.

    An assistant's may carry the calls that it wished, and each is answered by a message of the role
    `tool` with the call's id in `answers`.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    pictures: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    answers: str = ""


class Question(Struct, frozen=True):
    """All that a model is asked at once.

    Without `may_call` it is shown the tools, as their calls may be among the messages, but may not
    call any. `deadline_ms` is the turn's, for what tools take (0: not known).
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    may_call: bool = True
    deadline_ms: int = 0


def question_of(prompt: Iterable[Prompt]) -> Question:
    """Return a prompt as a question, without its pictures: only their keys are in a prompt."""
    return Question(tuple(Message(one.role, one.content) for one in prompt))


class Usage(Struct, frozen=True):
    """What an answer cost, in tokens, as the model counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


class Extras(Struct, frozen=True):
    """What goes out with the last piece of an answer, beside what the model wrote.

    `footer` is its last paragraph; for the others, see `ReplySegment`.
    """

    footer: str = ""
    handover: bool = False
    notes: tuple[str, ...] = ()
    menu: Menu | None = None
    cards: tuple[Card, ...] = ()
    media: tuple[Media, ...] = ()

    def __or__(self, other: "Extras") -> "Extras":
        return Extras(
            footer="\n".join(filter(None, (self.footer, other.footer))),
            handover=self.handover or other.handover,
            notes=self.notes + other.notes,
            menu=other.menu or self.menu,
            cards=self.cards + other.cards,
            media=tuple(dict.fromkeys(self.media + other.media)),
        )


class Chunk(Struct, frozen=True):
    """Something more of an answer. The last one is `done`: the answer is complete.

    One without a text is a sign of life: the model is thinking. Calls of tools come with the last
    one alone: it is no answer then, but a wish; where that is being fulfilled, with one in between.
    """

    text: str = ""
    done: bool = False
    finish: str = ""
    usage: Usage | None = None
    calls: tuple[Call, ...] = ()
    extras: Extras | None = None


class Reason(StrEnum):
    """Why a model could not answer."""

    UNREACHABLE = "unreachable"
    DISCONNECTED = "disconnected"
    FIRST_TOKEN_TIMEOUT = "first_token_timeout"  # noqa: S105 - no password
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    REFUSED = "refused"  # the request, not the connection: a repeat is refused again
    GARBAGE = "garbage"
    INCOMPLETE = "incomplete"
    EMPTY = "empty"
    BUSY = "busy"  # its limits are used up, by us: it was not even asked
    DEADLINE = "deadline"  # the turn's, not the model's: others had used up the time


class ModelFailed(QueqiaoError):  # noqa: N818 - named for what is the case
    """A model did not give a complete answer; says nothing of what it was asked.

    With `after`, the model wishes not to be asked again for so many seconds.
    """

    def __init__(
        self, reason: Reason, *, status: int = 0, after: float | None = None, detail: str = ""
    ) -> None:
        super().__init__(" ".join(filter(None, (reason, str(status or ""), detail))))
        self.reason = reason
        self.status = status
        self.after = after


class Provider(Protocol):
    """A model behind some protocol."""

    def complete(self, question: Question) -> AsyncGenerator[Chunk, None]:
        """Ask the model and yield its answer as it comes.

        It ends with a `done` chunk or with an error. Time is the caller's business.

        Raises:
            ModelFailed: with the reason.
        """
        ...
