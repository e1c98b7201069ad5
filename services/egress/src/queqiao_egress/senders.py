"""What became of a call: its sender is asked, as only a sender that is gone leaves it in doubt.

A process that stands still is connected and says nothing; one that is cut off comes back. Both know
then what WeChat answered, and are waited for. A killed one's connection is closed by its kernel.
"""

from collections.abc import Awaitable, Callable

import msgspec
from queqiao_common.errors import BrokerUnavailable, TransientError

from queqiao_egress.progress import Word
from queqiao_egress.sent import Marker

ALIVE = 12.0
"""Seconds for which a sender that cannot be reached may still be sending: beyond its time-outs."""
AWAY = 5.0
"""Seconds that a sender must be out of reach: whoever is cut off for a moment comes back."""
FROZEN = 90.0
"""Seconds after its claim for which a sender that is connected and says nothing is waited for."""
BUSY_AGAIN, SILENT_AGAIN = 1.0, 5.0
"""Seconds after which it is asked again."""

Ask = Callable[[str, bytes], Awaitable[bytes | None]]
"""Asks a sender by its name; None: it has no connection. Raises `BrokerUnavailable`."""

_decode = msgspec.json.Decoder(Word).decode


class Senders:
    """The replicas of egress as another one sees them."""

    def __init__(self, ask: Ask, *, now_ms: Callable[[], int]) -> None:
        self._ask = ask
        self._now_ms = now_ms
        self._missed: dict[str, tuple[int, int]] = {}

    async def word(self, delivery_id: str, marker: Marker) -> Word | None:
        """Return what the sender of a part says of the delivery; None: it is gone.

        Raises:
            TransientError: it is busy with it, or may come back.
        """
        age = (self._now_ms() - marker.since_ms) / 1000
        try:
            answer = await self._ask(marker.owner, delivery_id.encode())
        except BrokerUnavailable:
            if age > FROZEN:
                return None
            raise TransientError("its sender says nothing", after=SILENT_AGAIN) from None
        if answer is None:
            left = max(ALIVE - age, AWAY - self._away_for(marker.owner))
            if left > 0:
                raise TransientError("its sender may come back", after=left)
            return None
        word = _decode(answer)
        if word.busy:
            raise TransientError("another process is sending", after=BUSY_AGAIN)
        return word

    def _away_for(self, owner: str) -> float:
        """Return for how many seconds a sender has been found away, time after time."""
        now_ms = self._now_ms()
        first, last = self._missed.get(owner, (now_ms, now_ms))
        if now_ms - last > FROZEN * 1000:
            first = now_ms  # that was another time
        self._missed[owner] = first, now_ms
        return (now_ms - first) / 1000
