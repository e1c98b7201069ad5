"""The order of a user's messages, read from the stream that accepted them."""

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from queqiao_common.answers import STREAM_NOT_FOUND, Refused, Stored
from queqiao_common.bus import Bus
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.events import UNREADABLE, InboundMessage, ScreenedMessage, Verdict
from queqiao_common.topology import (
    CHAT,
    INBOUND,
    LLM_REQUESTS,
    MODERATION_INBOUND,
    SCREENED,
    Consumer,
)

from queqiao_context.chain import Chain, Gap
from queqiao_context.document import Arrival
from queqiao_context.hearing import LOOKBACK_MS, Heard


class _StreamInfo(Struct):
    created: str


class _Floor(Struct, frozen=True):
    stream_seq: int = 0


class _ConsumerInfo(Struct):
    num_pending: int = 0
    ack_floor: _Floor = _Floor()


class InboundStream:
    """Walks the messages of one conversation along the stream."""

    def __init__(self, bus: Bus, heard: Heard) -> None:
        self._bus = bus
        self._heard = heard
        self._epoch = ""
        # The stream cannot be created anew without our consumer or our connection being lost.
        bus.when_reconnected(self._doubt)
        bus.when_missing(self._doubt)

    def _doubt(self) -> None:
        self._epoch = ""
        self._heard.forget()

    def known(self, cursor: int, *, account: str, conv: str, upto: int) -> Chain | None:
        """Return what lies between the cursor and a message, where nobody need be asked."""
        return self._heard.next_after(cursor, account=account, conv=conv, upto=upto)

    async def epoch(self, *, fresh: bool = False) -> str:
        """Return when the stream was created: sequences mean nothing in another one.

        Raises:
            BrokerUnavailable: the stream is gone, or its leader.
        """
        if fresh or not self._epoch:
            self._epoch = await self._read_epoch()
        return self._epoch

    async def _read_epoch(self) -> str:
        try:
            answer = await self._bus.api(f"STREAM.INFO.{CHAT.name}")
        except Refused as error:
            if error.err_code != STREAM_NOT_FOUND:
                raise
            self._bus.missing()
            raise BrokerUnavailable(f"the stream {CHAT.name} is gone") from error
        return msgspec.json.decode(answer, type=_StreamInfo).created

    async def chain(self, *, account: str, conv: str, gap: Gap) -> Chain:
        """Return what lies in a gap: messages in order, and the verdicts stored about them.

        Messages older than the stream's limits are gone and do not appear.
        """
        since_ms = 0 if gap.after else await self._since_ms(gap.upto)
        messages = await self._messages(account, conv, gap, since_ms)
        sequences = tuple(stored.sequence for stored in messages)
        if len(sequences) < 2:
            return Chain(gap.after, gap.upto, sequences)
        screened = SCREENED.pattern.format(account=account, conv=conv)
        walk = self._walk(screened, gap.after, sys.maxsize, since_ms)
        arrivals = [_arrival(stored) async for stored in walk]
        verdicts = [one for one in arrivals if one and one.screened.sequence in sequences]
        return Chain(gap.after, gap.upto, sequences, tuple(verdicts))

    async def given_up(self, *, account: str, conv: str, gap: Gap) -> Chain:
        """Return the same, with a verdict of failure where moderation is done and said nothing.

        Moderation is done with what all its replicas have acknowledged; what came of it should be
        stored by then, but media are fetched first: ask only when there was time for that.
        """
        done = (await _consumer_info(self._bus, MODERATION_INBOUND)).ack_floor.stream_seq
        since_ms = 0 if gap.after else await self._since_ms(gap.upto)
        silent = {
            stored.sequence: _failed(account, conv, stored)
            for stored in await self._messages(account, conv, gap, since_ms)
            if stored.sequence <= done
        }
        chain = await self.chain(account=account, conv=conv, gap=gap)
        judged = {one.screened.sequence for one in chain.verdicts}
        failed = tuple(one for sequence, one in silent.items() if sequence not in judged)
        return replace(chain, verdicts=(*failed, *chain.verdicts))

    async def _messages(self, account: str, conv: str, gap: Gap, since_ms: int) -> list[Stored]:
        subject = INBOUND.pattern.format(account=account, conv=conv)
        return [one async for one in self._walk(subject, gap.after, gap.upto, since_ms)]

    async def _walk(
        self, subject: str, after: int, upto: int, since_ms: int
    ) -> AsyncIterator[Stored]:
        while after < upto:
            stored = await self._bus.read_next(CHAT, subject, after, since_ms=since_ms)
            if stored is None or stored.sequence > upto:
                return
            yield stored
            after = stored.sequence

    async def _since_ms(self, sequence: int) -> int:
        stored = await self._bus.read(CHAT, sequence)
        if stored is None:
            return 0
        moment = datetime.fromisoformat(stored.headers["Nats-Time-Stamp"])
        return int(moment.timestamp() * 1000) - LOOKBACK_MS


def _arrival(stored: Stored) -> Arrival | None:
    try:
        screened = msgspec.json.decode(stored.data, type=ScreenedMessage)
    except UNREADABLE:
        return None
    return Arrival(screened=screened, traceparent=stored.headers.get("traceparent", ""))


def _failed(account: str, conv: str, stored: Stored) -> Arrival:
    """Return what moderation should have said of a message, had it said anything."""
    try:
        message = msgspec.json.decode(stored.data, type=InboundMessage)
    except UNREADABLE:
        message = None
    screened = ScreenedMessage(
        id=f"scr:missed:{account}.{conv}:{stored.sequence}",
        account=account,
        conv=conv,
        sequence=stored.sequence,
        verdict=Verdict.FAILED,
        message=message,
    )
    return Arrival(screened=screened, traceparent=stored.headers.get("traceparent", ""))


async def _consumer_info(bus: Bus, consumer: Consumer[Any]) -> _ConsumerInfo:
    answer = await bus.api(f"CONSUMER.INFO.{consumer.reads.stream.name}.{consumer.name}")
    return msgspec.json.decode(answer, type=_ConsumerInfo)


async def waiting_turns(bus: Bus) -> int:
    """Return how many turns wait for a replica of llm to take them.

    Raises:
        BrokerUnavailable, Refused: the broker cannot say.
    """
    return (await _consumer_info(bus, LLM_REQUESTS)).num_pending
