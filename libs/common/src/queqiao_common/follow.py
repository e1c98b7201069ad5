"""Hear every message of a subject in every replica: broadcasts, as opposed to shared work.

Used for what concerns requests that are open in some process right now (offers, claims) and for
policy that all replicas must know. Nothing is acknowledged; the consumer lives as long as we pull.
"""

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

from queqiao_common.answers import Raw
from queqiao_common.bus import Bus
from queqiao_common.errors import QueqiaoError
from queqiao_common.pull import Puller

log = logging.getLogger(__name__)

INACTIVE = 30.0
OVERLAP = 5.0


class _Created(Struct):
    name: str


class Follower:
    """Calls `hear` for each message stored on `subject` from `since` seconds ago on.

    Without `bodies` it is told of each message, and not what it says.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        stream: str,
        subject: str,
        hear: Callable[[Raw], None],
        since: float,
        bodies: bool = True,
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._subject = subject
        self._hear = hear
        self._since = since
        self._bodies = bodies
        self._start_ms = 0
        self._puller: Puller | None = None
        self._stopped = False

    @property
    def start_ms(self) -> int:
        """Since when messages are delivered by the present consumer (Unix ms of the broker)."""
        return self._start_ms

    async def run(self) -> None:
        """Follow until `stop()`, with a new consumer whenever the broker has lost ours."""
        since = self._since
        while not self._stopped:
            try:
                name = await self._create(since)
            except QueqiaoError as error:
                log.warning("follow.failed", extra={"subject": self._subject, "error": str(error)})
                self._bus.missing()
                await asyncio.sleep(0.5)
                continue
            began = time.monotonic()
            await self._pull(name)
            since = time.monotonic() - began + OVERLAP if since else 0.0
            since = min(since, max(self._since, OVERLAP))

    async def _create(self, since: float) -> str:
        start = time.time() - since
        self._start_ms = int(start * 1000)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start))
        answer = await self._bus.api(
            f"CONSUMER.CREATE.{self._stream}",
            {
                "stream_name": self._stream,
                "config": {
                    "ack_policy": "none",
                    "deliver_policy": "by_start_time",
                    "opt_start_time": f"{stamp}.{int(start % 1 * 1e9):09d}Z",
                    "filter_subject": self._subject,
                    "headers_only": not self._bodies,
                    "inactive_threshold": int(INACTIVE * 1e9),
                    "mem_storage": True,
                    "num_replicas": 1,
                },
            },
        )
        return msgspec.json.decode(answer, type=_Created).name

    async def _pull(self, name: str) -> None:
        puller = Puller(
            self._bus,
            stream=self._stream,
            consumer=name,
            slots=512,
            handle=self._receive,
            on_lost=self._lost,
        )
        self._puller = puller
        if not self._stopped:
            await puller.run()

    def _lost(self) -> None:
        if self._puller is not None:
            self._puller.stop()

    def _receive(self, raw: Raw) -> None:
        try:
            self._hear(raw)
        finally:
            if self._puller is not None:
                self._puller.done()

    def stop(self) -> None:
        """Hear nothing more."""
        self._stopped = True
        self._lost()
