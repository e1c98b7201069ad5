"""The order of a user's messages, read from the stream that accepted them."""

import msgspec
from msgspec import Struct
from queqiao_common.bus import Bus
from queqiao_common.topology import CHAT, INBOUND


class _StreamInfo(Struct):
    created: str


class InboundStream:
    """Walks the messages of one conversation along the stream."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def epoch(self) -> str:
        """Return when the stream was created: sequences mean nothing in another one."""
        answer = await self._bus.api(f"STREAM.INFO.{CHAT.name}")
        return msgspec.json.decode(answer, type=_StreamInfo).created

    async def sequences(self, *, account: str, conv: str, after: int, upto: int) -> tuple[int, ...]:
        """Return the sequences of the conversation's messages in `(after, upto]`, in order.

        Messages older than the stream's limits are gone and do not appear.
        """
        subject = INBOUND.pattern.format(account=account, conv=conv)
        found: list[int] = []
        last = after
        while last < upto:
            stored = await self._bus.read_next(CHAT, subject, last)
            if stored is None or stored.sequence > upto:
                break
            found.append(stored.sequence)
            last = stored.sequence
        return tuple(found)
