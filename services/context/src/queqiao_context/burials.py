"""What the conversation is told of an event that context itself gave up. Pure.

The event lies in a dead letter, and somebody waits for what it said: a message for its place in the
order, a turn for its piece or its end. So the least of it that lets them go on is told as another
event, with attempts of its own: in most cases what the handler choked on is not part of it. Where
that is given up as well, the turn's deadline remains (`watch`).
"""

from collections.abc import AsyncIterator
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct
from queqiao_common.events import (
    UNREADABLE,
    DeliveryResult,
    Event,
    InboundMessage,
    ScreenedMessage,
    ScreenedSegment,
    Summarised,
    TurnTimeout,
    Verdict,
)
from queqiao_common.worker import Buried

T = TypeVar("T", bound=Struct)

MARK = "given-up:"
"""With what the ids of these events begin."""


class _Message(Struct):
    id: str
    account: str
    conv: str
    sequence: int


class _Carrier(Struct):
    message: InboundMessage | None = None


class _Piece(Struct):
    id: str
    account: str
    conv: str
    turn_id: str
    attempt: int = 1
    number: int = 0


class _Result(Struct):
    id: str
    account: str
    conv: str
    turn_id: str
    delivery_id: str
    status: Literal["delivered", "failed", "parked"]
    via: Literal["passive", "api", "mailbox", "none"] = "none"
    parked: int = 0


class _Summary(Struct):
    id: str
    account: str
    conv: str
    upto: int


async def message(buried: Buried) -> AsyncIterator[Event]:
    """A message cannot be absorbed: it failed, and those behind it can be answered."""
    stub = _read(buried, _Message)
    if stub is not None:
        carrier = _decoded(buried.body, _Carrier)
        yield ScreenedMessage(
            id=f"{MARK}{stub.account}.{stub.conv}:{stub.sequence}",
            account=stub.account,
            conv=stub.conv,
            sequence=stub.sequence,
            verdict=Verdict.FAILED,
            message=carrier.message if carrier else None,
        )


async def piece(buried: Buried) -> AsyncIterator[Event]:
    """A piece cannot be recorded: the answer ends with the apology."""
    stub = _read(buried, _Piece)
    if stub is not None:
        yield ScreenedSegment(
            id=f"{MARK}{stub.turn_id}.{stub.attempt}.{stub.number}",
            account=stub.account,
            conv=stub.conv,
            turn_id=stub.turn_id,
            number=stub.number,
            attempt=stub.attempt,
            text="",
            verdict=Verdict.FAILED,
            final=True,
            failed=True,
        )


async def result(buried: Buried) -> AsyncIterator[Event]:
    """What became of a delivery cannot be taken in: as much of it as the next one waits for."""
    stub = _read(buried, _Result)
    if stub is not None:
        yield DeliveryResult(
            id=f"{MARK}{stub.delivery_id}",
            account=stub.account,
            conv=stub.conv,
            turn_id=stub.turn_id,
            delivery_id=stub.delivery_id,
            status=stub.status,
            via=stub.via,
            parked=stub.parked,
        )


async def summary(buried: Buried) -> AsyncIterator[Event]:
    """A summary cannot be kept: none was made, so that another will be asked for."""
    stub = _read(buried, _Summary)
    if stub is not None:
        yield Summarised(
            id=f"{MARK}{stub.account}.{stub.conv}.{stub.upto}",
            account=stub.account,
            conv=stub.conv,
            upto=stub.upto,
        )


async def deadline(buried: Buried) -> AsyncIterator[Event]:
    """A turn cannot be ended: once more, before the replica that saw it begin looks after it."""
    timeout = _read(buried, TurnTimeout)
    if timeout is not None:
        yield msgspec.structs.replace(timeout, id=f"{MARK}{timeout.id}")


class _Named(Struct):
    id: str = ""


def _read(buried: Buried, kind: type[T]) -> T | None:
    """Return what can be read of an event; None where that was told already."""
    named = _decoded(buried.body, _Named)
    if named is None or named.id.startswith(MARK):
        return None
    return _decoded(buried.body, kind)


def _decoded(body: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE:
        return None
