"""What was stored lately: so most messages are known to be the next of their conversation.

Every replica hears of each message as it is stored, in the stream's order, and long before its
verdict comes. Without that, the stream is asked about every message what lies before it.
"""

from collections import OrderedDict
from collections.abc import Callable

from queqiao_common.answers import Raw
from queqiao_common.pull import parse_metadata

from queqiao_context.chain import Chain

LOOKBACK_MS = 60_000
"""How far a conversation without a cursor looks for messages that came before its first.

Two quick messages may arrive swapped, so some; but where the document was lost, or the stream
restored, older ones have been answered long ago.
"""
REMEMBERED = 10_000
"""Conversations whose last messages are known; of the others the stream is asked."""
EACH = 8
"""Messages known of each: more than a person writes while one is being screened."""


class Heard:
    """The inbound messages that were stored after `floor`, as far as they are remembered.

    `start_ms` says since when (Unix ms of the broker) what is followed is delivered to us.
    """

    def __init__(
        self, start_ms: Callable[[], int], *, remember: int = REMEMBERED, each: int = EACH
    ) -> None:
        self._start_ms = start_ms
        self._remember, self._each = remember, each
        self._talks: OrderedDict[str, tuple[tuple[int, int], ...]] = OrderedDict()
        self.forget()

    def forget(self) -> None:
        """Know nothing: the stream may be another one."""
        self._talks.clear()
        self._consumer, self._count = "", 0
        self._floor = self._floor_ms = 0

    def hear(self, raw: Raw) -> None:
        """Take note of a message, as the follower calls it."""
        place = parse_metadata(raw.reply)
        if (place.consumer, place.count) != (self._consumer, self._count + 1):
            self.forget()  # there is another consumer, or something was delivered to nobody
            self._floor = place.sequence - 1
            self._floor_ms = self._start_ms() if place.count == 1 else place.published_ms
        self._consumer, self._count = place.consumer, place.count
        talk = raw.subject.split(".", 2)[2]  # chat.inbound.<account>.<conv>
        known = (*self._talks.get(talk, ()), (place.sequence, place.published_ms))
        self._talks[talk] = known[-self._each :]
        self._talks.move_to_end(talk)
        if len(self._talks) > self._remember:
            _, dropped = self._talks.popitem(last=False)
            self._floor, self._floor_ms = dropped[-1]

    def next_after(self, cursor: int, *, account: str, conv: str, upto: int) -> Chain | None:
        """Return the chain of one message, `upto`, if nothing else lies between; else None.

        None says nothing: there may be more, or it is not known here.
        """
        known = self._talks.get(f"{account}.{conv}")
        if known is None:
            return None
        is_full = len(known) == self._each  # and what was before is forgotten
        if cursor:
            is_known = cursor >= self._floor and (not is_full or known[0][0] <= cursor)
            between = [one for one, _ in known if cursor < one <= upto]
        else:
            stored_ms = next((at for sequence, at in known if sequence == upto), 0)
            since_ms = stored_ms - LOOKBACK_MS
            is_known = since_ms >= self._floor_ms and (not is_full or known[0][1] < since_ms)
            between = [one for one, at in known if at >= since_ms and one <= upto]
        return Chain(cursor, upto, (upto,)) if is_known and between == [upto] else None
