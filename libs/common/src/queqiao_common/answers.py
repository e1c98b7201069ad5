"""What the broker answers: acknowledgements, stored events, and refusals as errors of ours."""

from collections.abc import Callable
from typing import Protocol

import msgspec
from msgspec import Struct

from queqiao_common.errors import BrokerUnavailable, PermanentError, TransientError
from queqiao_common.events import UNREADABLE

WRONG_REVISION = frozenset({10071, 10164})
STREAM_FULL = 10077
STREAM_NOT_FOUND = 10059
NOT_NOW = frozenset({429, 503})
"""Codes of a broker that has no leader right now, or too much to do."""
PASSING = frozenset({10005, 10158})
"""Other errors that pass: a server of the cluster is away, so that a stream finds no place; an
earlier try with the same id is still being stored, and its outcome not known yet."""


class Raw(Protocol):
    """A message as it comes from the broker."""

    @property
    def subject(self) -> str:
        """What it is about."""

    @property
    def reply(self) -> str:
        """Where an answer goes; empty where none is wanted."""

    @property
    def data(self) -> bytes:
        """Its body."""

    @property
    def headers(self) -> dict[str, str] | None:
        """Its headers, and the broker's word as `Status` and `Description`."""


class PubAck(Struct, frozen=True):
    """The broker's word that an event is stored; `duplicate` when it already was."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False


class Problem(Struct, frozen=True):
    """Why JetStream did not do what it was asked for."""

    code: int = 0
    err_code: int = 0
    description: str = ""

    @property
    def is_passing(self) -> bool:
        """Whether the same request may do in a moment."""
        return self.code in NOT_NOW or self.err_code in PASSING


class Answer(PubAck, frozen=True):
    """An acknowledgement, or the reason why there is none."""

    error: Problem | None = None


class Stored(Struct, frozen=True):
    """An event read back from its stream by sequence; its own headers and the broker's on top."""

    subject: str
    sequence: int
    data: bytes
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class Refused(PermanentError):  # noqa: N818 - the broker's word, with its number
    """JetStream refused a request for a reason that a repeat cannot cure."""

    def __init__(self, what: str, problem: Problem) -> None:
        self.reason = f"{problem.description}, {problem.err_code}"
        super().__init__(f"{what}: {problem.description} ({problem.err_code})")
        self.code = problem.code
        self.err_code = problem.err_code


class NobodyListens(BrokerUnavailable):
    """No connection listens to the subject of a request."""


class StreamFull(BrokerUnavailable):
    """The stream has reached its limit: back-pressure, to be passed on."""


class WrongRevision(TransientError):  # noqa: N818 - the broker's word
    """Somebody else (or our own lost acknowledgement) wrote this key first."""


Hear = Callable[["Raw | BrokerUnavailable"], None]
"""What takes the answer to a request, or the reason why there is none."""
decode_answer = msgspec.json.Decoder(Answer).decode


def acknowledged(subject: str, body: bytes) -> PubAck:
    """Read the answer to a publication.

    Raises:
        StreamFull, WrongRevision, BrokerUnavailable, Refused: it is not stored, and why.
    """
    try:
        answer = decode_answer(body)
    except UNREADABLE as error:
        raise BrokerUnavailable(f"{subject}: an answer that cannot be read") from error
    problem = answer.error
    if problem is None:
        return answer
    if problem.err_code in WRONG_REVISION:
        raise WrongRevision(subject)
    if problem.err_code == STREAM_FULL:
        raise StreamFull(f"{subject}: {problem.description}")
    if problem.is_passing:
        raise BrokerUnavailable(f"{subject}: {problem.description}")
    raise Refused(subject, problem)
