"""The streams of AI bots: what a delivery adds to what the platform shows."""

from collections.abc import Callable

from queqiao_common.displays import Display, display_key
from queqiao_common.events import Waiting
from queqiao_common.kv import Documents

from queqiao_egress.letter import Letter
from queqiao_egress.showing import closed, grown

SILENCE_MS = 20_000
"""Without a poll for so long nobody asks any more: one is noted every five seconds or so."""


class Streams:
    """The bucket `displays`, as egress writes it."""

    def __init__(
        self, displays: Documents[Display], *, merged: str, now_ms: Callable[[], int]
    ) -> None:
        self._displays = displays
        self._merged = merged
        self._now_ms = now_ms

    async def is_open(self, letter: Letter, one: Waiting) -> bool:
        """Whether the platform still asks for the answer to a message; learn what it has shown.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        display = (await self._displays.get(display_key(letter.account.id, one.msgid))).value
        if display is None:
            return True
        letter.give_passively(display.items)
        heard_ms = max(display.polled_ms, one.received_ms)
        return not display.is_final and self._now_ms() - heard_ms < SILENCE_MS

    async def show(self, letter: Letter, one: Waiting) -> None:
        """Show all that is left of a letter, as far as there is room.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """

        def change(display: Display | None) -> tuple[Display | None, Display]:
            shown = grown(
                display,
                letter.items,
                letter.rules.passive,
                is_final=letter.delivery.final,
                now_ms=self._now_ms(),
            )
            return (None if shown == display else shown), shown

        shown = await self._displays.update(display_key(letter.account.id, one.msgid), change)
        is_taken = letter.give_passively(shown.items)
        letter.reasons.append("shown in the stream" if is_taken else "the stream has no room")

    async def close(self, letter: Letter, one: Waiting) -> None:
        """End the stream of a message that is answered with a later one.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        now_ms = self._now_ms()

        def change(display: Display | None) -> tuple[Display | None, None]:
            ended = closed(display, self._merged, now_ms=now_ms)
            return (None if ended == display else ended), None

        await self._displays.update(display_key(letter.account.id, one.msgid), change)
