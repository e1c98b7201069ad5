"""Events that the broker itself gave up: buried as the worker would have buried them.

The worker gives up an event explicitly, before the broker's `max_deliver` is reached. Below that
lies a net: where even the burying ended the process, the broker stops delivering and only says so
(an advisory, kept in the stream DEAD), and the event remains where it is, seen by nobody.
"""

from collections.abc import Mapping
from typing import Any

from queqiao_common.bus import Bus
from queqiao_common.errors import PermanentError
from queqiao_common.events import GivenUp
from queqiao_common.topology import CONSUMERS
from queqiao_common.worker import Buried, Outgoing, Received, Worker, Yields

STREAM_OF = {consumer.name: consumer.reads.stream for consumer in CONSUMERS}


class Undertaker:
    """Buries what was given up of the events of these workers, by the name of their consumer."""

    def __init__(self, bus: Bus, workers: Mapping[str, Worker[Any]]) -> None:
        self._bus = bus
        self._workers = workers

    async def bury(self, received: Received[GivenUp]) -> Yields:
        """Write the dead letter, under the id that the worker would have given it, and tell.

        Advisories on other services' consumers are theirs.
        """
        notice = received.event
        worker = self._workers.get(notice.consumer)
        if worker is None:
            return
        stored = await self._bus.read(STREAM_OF[notice.consumer], notice.stream_seq)
        if stored is None:
            where = f"{notice.stream} {notice.stream_seq} of {notice.consumer}"
            raise PermanentError(f"{where}: given up by the broker, and no longer stored")
        reason = f"not acknowledged once in {notice.deliveries} deliveries"
        buried = Buried(stored.subject, stored.data, notice.stream_seq, reason)
        letter = worker.letter(buried, headers=stored.headers, attempts=notice.deliveries)
        yield Outgoing(letter, parent=stored.headers)
        async for item in worker.last_words(buried):
            yield item if isinstance(item, Outgoing) else Outgoing(item, parent=stored.headers)
