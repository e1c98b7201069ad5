"""What a model is asked and what it answers, whatever protocol it speaks."""

from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Protocol

from msgspec import Struct
from queqiao_common.errors import QueqiaoError
from queqiao_common.events import Prompt

MAX_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer on the wire: what is longer is none."""


class Usage(Struct, frozen=True):
    """What an answer cost, in tokens, as the model counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Chunk(Struct, frozen=True):
    """Something more of an answer. The last one is `done`: the answer is complete.

    One without a text is a sign of life: the model is thinking.
    """

    text: str = ""
    done: bool = False
    finish: str = ""
    usage: Usage | None = None


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

    def complete(self, prompt: tuple[Prompt, ...]) -> AsyncGenerator[Chunk, None]:
        """Ask the model and yield its answer as it comes.

        It ends with a `done` chunk or with an error. Time is the caller's business.

        Raises:
            ModelFailed: with the reason.
        """
        ...
