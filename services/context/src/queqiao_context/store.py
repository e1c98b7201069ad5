"""The order of a user's messages, read from the stream that accepted them."""

import sys
from collections.abc import AsyncIterator
from datetime import datetime

import msgspec
from msgspec import Struct
from queqiao_common.answers import STREAM_NOT_FOUND, Refused, Stored
from queqiao_common.bus import Bus
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.events import UNREADABLE, ScreenedMessage
from queqiao_common.topology import CHAT, INBOUND, LLM_REQUESTS, SCREENED

from queqiao_context.chain import Chain, Gap
from queqiao_context.document import Arrival

LOOKBACK_MS = 60_000
"""How far a conversation without a cursor looks for messages that came before its first.

Two quick messages may arrive swapped, so some; but where the document was lost, or the stream
restored, older ones have been answered long ago.
"""


class _StreamInfo(Struct):
    created: str


class _ConsumerInfo(Struct):
    num_pending: int = 0


class InboundStream:
    """Walks the messages of one conversation along the stream."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._epoch = ""
        # The stream cannot be created anew without our consumer or our connection being lost.
        bus.when_reconnected(self._doubt)
        bus.when_missing(self._doubt)

    def _doubt(self) -> None:
        self._epoch = ""

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
        inbound = INBOUND.pattern.format(account=account, conv=conv)
        walk = self._walk(inbound, gap.after, gap.upto, since_ms)
        sequences = tuple([stored.sequence async for stored in walk])
        if len(sequences) < 2:
            return Chain(gap.after, gap.upto, sequences)
        screened = SCREENED.pattern.format(account=account, conv=conv)
        walk = self._walk(screened, gap.after, sys.maxsize, since_ms)
        arrivals = [_arrival(stored) async for stored in walk]
        verdicts = [one for one in arrivals if one and one.screened.sequence in sequences]
        return Chain(gap.after, gap.upto, sequences, tuple(verdicts))

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


async def waiting_turns(bus: Bus) -> int:
    """Return how many turns wait for a replica of llm to take them.

    Raises:
        BrokerUnavailable, Refused: the broker cannot say.
    """
    answer = await bus.api(f"CONSUMER.INFO.{LLM_REQUESTS.reads.stream.name}.{LLM_REQUESTS.name}")
    return msgspec.json.decode(answer, type=_ConsumerInfo).num_pending
