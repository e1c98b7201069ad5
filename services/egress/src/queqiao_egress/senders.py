"""What became of a call: its sender is asked, as only a sender that is gone leaves it in doubt.

A process that stands still is connected and says nothing; one that is cut off comes back. Both know
then what WeChat answered, and are waited for. A killed one's connection is closed by its kernel.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec
from queqiao_common.errors import BrokerUnavailable, TransientError

from queqiao_egress.progress import Word
from queqiao_egress.sent import Marker

ALIVE = 12.0
"""Seconds for which a sender that cannot be reached may still be sending: beyond its time-outs."""
LOOKS = 6
"""How often in a row a sender must be found away: who was cut off for a moment comes back."""
FROZEN = 90.0
"""Seconds after its claim for which a sender that is connected and says nothing is waited for."""
AWAY_AGAIN, SILENT_AGAIN, BUSY_AGAIN = 2.0, 5.0, 10.0
"""Seconds after which it is asked again; one that is busy will go on by itself."""
PATIENCE = 15.0
"""Seconds for which it is asked again in place, so that one process looks, and not each in turn:
given back each time, a delivery would spend its attempts on waiting."""

Ask = Callable[[str, bytes], Awaitable[bytes | None]]
"""Asks a sender by its name; None: it has no connection. Raises `BrokerUnavailable`."""

_decode = msgspec.json.Decoder(Word).decode


class _Missed(NamedTuple):
    times: int = 0
    last_ms: int = 0


class Senders:
    """The replicas of egress as another one sees them."""

    def __init__(
        self,
        ask: Ask,
        *,
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        patience: float = PATIENCE,
    ) -> None:
        self._ask = ask
        self._now_ms = now_ms
        self._sleep = sleep
        self._patience = patience
        self._missed: dict[str, _Missed] = {}
        self._connected_ms = 0

    async def word(self, delivery_id: str, marker: Marker) -> Word | None:
        """Return what the sender of a part says of the delivery; None: it is gone.

        Raises:
            TransientError: it is busy with it, or may come back.
        """
        waited = 0.0
        while True:
            try:
                return await self._look(delivery_id, marker)
            except TransientError as error:
                again = error.after or AWAY_AGAIN
                if waited + again > self._patience:
                    raise
            waited += again
            await self._sleep(again)

    async def _look(self, delivery_id: str, marker: Marker) -> Word | None:
        age = (self._now_ms() - marker.since_ms) / 1000
        try:
            answer = await self._ask(marker.owner, delivery_id.encode())
        except BrokerUnavailable:
            self._missed.pop(marker.owner, None)
            if age > FROZEN:
                return None
            raise TransientError("its sender says nothing", after=SILENT_AGAIN) from None
        if answer is not None:
            self._missed.pop(marker.owner, None)
            word = _decode(answer)
            if word.busy:
                raise TransientError("another process is sending", after=BUSY_AGAIN)
            return word
        if marker.since_ms < self._connected_ms:
            is_gone, again = age > FROZEN, SILENT_AGAIN
        else:
            is_gone, again = self._times_missed(marker.owner) >= LOOKS and age >= ALIVE, AWAY_AGAIN
        if not is_gone:
            raise TransientError("its sender may come back", after=again)
        return None

    def reconnected(self) -> None:
        """Note that the broker was away: so were the others, and one that stands still is yet."""
        self._connected_ms = self._now_ms()
        self._missed.clear()

    def _times_missed(self, owner: str) -> int:
        """Count a look at a sender that is away; those for many deliveries at once are one."""
        now_ms = self._now_ms()
        missed = self._missed.get(owner, _Missed())
        if now_ms - missed.last_ms > FROZEN * 1000:
            missed = _Missed()  # that was another time
        if now_ms - missed.last_ms >= AWAY_AGAIN * 1000:
            self._missed[owner] = missed = _Missed(missed.times + 1, now_ms)
        return missed.times
