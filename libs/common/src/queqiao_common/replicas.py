"""Questions that only one replica can answer, asked by the others of its service.

No event and no bucket can: what is asked for is what a process knows and could not write down. It
also tells a replica that has ended from one that only stands still. The broker answers for nobody
where no connection listens any more, and a killed process's connection is closed by its kernel.
"""

import logging
from collections.abc import Callable

from queqiao_common.answers import NobodyListens
from queqiao_common.bus import Bus
from queqiao_common.topology import REPLICA

log = logging.getLogger(__name__)

ANSWERS_WITHIN = 1.0
"""Seconds; the answer is in memory."""


class Replicas:
    """The replicas of one service, each by the name that it gives itself."""

    def __init__(self, bus: Bus, service: str) -> None:
        self._bus = bus
        self._service = service

    async def listen(self, name: str, answer: Callable[[bytes], bytes]) -> None:
        """Answer under this name for as long as the process lives.

        Raises:
            BrokerUnavailable: the broker does not take it now.
        """
        await self._bus.subscribe(
            self._subject(name), lambda raw: self._bus.tell_soon(raw.reply, answer(raw.data))
        )
        log.info("replica.listening", extra={"replica": name})

    async def ask(self, name: str, body: bytes) -> bytes | None:
        """Return what that replica says; None: it has no connection to the broker.

        Raises:
            BrokerUnavailable: it has one, or we have none, and nothing was heard.
        """
        try:
            return (await self._bus.request(self._subject(name), body, timeout=ANSWERS_WITHIN)).data
        except NobodyListens:
            return None

    def _subject(self, name: str) -> str:
        return REPLICA.format(service=self._service, name=name)
