"""What an AI bot shows: begun here, written by egress, told to whoever asks.

The platform asks any replica, about once a second for each answer that is being written, so the
text stands in the bucket `displays` and nothing is kept here.
"""

from collections.abc import Callable

from msgspec import structs
from queqiao_common.displays import Display, display_key
from queqiao_common.events import InboundMessage
from queqiao_common.kv import Documents

NOTED_EVERY_MS = 5_000
"""A poll is noted in the display when the last one that was is older: egress sees who looks."""


class Streams:
    """The displays of all bots; `now_ms` is the wall clock."""

    def __init__(self, displays: Documents[Display], *, now_ms: Callable[[], int]) -> None:
        self._displays = displays
        self._now_ms = now_ms

    async def begin(self, message: InboundMessage) -> Display:
        """Return what is shown in answer to a message: nothing yet, unless it was delivered before.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        now_ms = self._now_ms()
        blank = Display(updated_ms=now_ms, polled_ms=now_ms)

        def open_if_new(display: Display | None) -> tuple[Display | None, Display]:
            return (blank, blank) if display is None else (None, display)

        return await self._displays.update(display_key(message.account, message.msgid), open_if_new)

    async def look(self, account: str, msgid: str) -> Display | None:
        """Return what is shown now, and note that somebody looks; None for an unknown stream.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        if not msgid:
            return None
        key = display_key(account, msgid)
        display = (await self._displays.get(key)).value
        now_ms = self._now_ms()
        if display is None or not _is_to_be_noted(display, now_ms):
            return display

        def note(display: Display | None) -> tuple[Display | None, Display | None]:
            if display is None or not _is_to_be_noted(display, now_ms):
                return None, display
            noted = structs.replace(display, polled_ms=now_ms)
            return noted, noted

        return await self._displays.update(key, note)


def _is_to_be_noted(display: Display, now_ms: int) -> bool:
    return not display.is_final and now_ms - display.polled_ms >= NOTED_EVERY_MS
