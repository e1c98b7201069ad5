"""Hears on the bus what Queqiao has done with each message: an `Observer` of `reply.delivered`.

The one module that imports queqiao_common, and it is imported only where a broker is named: the
simulator of the platform needs neither.
"""

import asyncio
import logging
from collections.abc import Mapping

import msgspec
from queqiao_common.answers import Raw
from queqiao_common.bus import Bus, connect
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.events import UNREADABLE, DeliveryResult
from queqiao_common.follow import Follower
from queqiao_common.settings import Nats
from queqiao_common.topology import DELIVERED

from queqiao_simulator.observer import Record
from queqiao_simulator.transcript import Observation

log = logging.getLogger(__name__)

LOOK_BACK = 60.0
"""Seconds that are heard again after a loss; what is told twice is noted once."""
RETRY = 1.0

_decode = msgspec.json.Decoder(DeliveryResult).decode


class NatsObserver:
    """Tells the simulator about every delivery that egress reports."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def watch(self, record: Record) -> None:
        """Follow the results until cancelled, from whenever the broker can be reached."""
        bus = await self._connected()
        follower = Follower(
            bus,
            stream=DELIVERED.stream.name,
            subject=DELIVERED.filter,
            hear=lambda raw: _hear(raw, record),
            since=LOOK_BACK,
        )
        try:
            await follower.run()
        finally:
            await bus.close()

    async def _connected(self) -> Bus:
        while True:
            try:
                return await connect(Nats(url=self._url), "simulator")
            except BrokerUnavailable as error:
                log.warning("%s; trying again", error)
                await asyncio.sleep(RETRY)


def _hear(raw: Raw, record: Record) -> None:
    try:
        result = _decode(raw.data)
    except UNREADABLE as error:
        log.warning("%s: unreadable result: %s", raw.subject, error)
        return
    record(observation(result, raw.headers or {}), list(result.msgids))


def observation(result: DeliveryResult, headers: Mapping[str, str]) -> Observation:
    """Put a result into the page's words: what did not arrive is no way of delivery."""
    facts = {
        "delivery": result.delivery_id,
        "status": result.status,
        "parts": result.parts,
        "parked": result.parked,
        "errcode": result.errcode,
        "messages": len(result.msgids),
    }
    return Observation(
        via=result.via if result.status == "delivered" else result.status,
        reasons=list(result.reasons),
        trace_id=trace_id(headers),
        detail=facts,
    )


def trace_id(headers: Mapping[str, str]) -> str:
    """Return the trace that a message belongs to, or nothing.

    Source: W3C Trace Context, `traceparent` is version-trace-parent-flags in hex.
    """
    match headers.get("traceparent", "").split("-"):
        case [_, str(trace), _, _] if len(trace) == 32:
            return trace
        case _:
            return ""
