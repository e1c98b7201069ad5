"""The mailbox of a user, as a delivery finds and leaves it."""

from queqiao_common.kv import Documents

from queqiao_egress import mailbox
from queqiao_egress.letter import Letter
from queqiao_egress.mailbox import EMPTY, Box
from queqiao_egress.pages import pages, without


class Boxes:
    """The bucket `mailbox`. Every method raises `BrokerUnavailable` where it does not answer."""

    def __init__(self, bucket: Documents[Box]) -> None:
        self._bucket = bucket

    async def read(self, letter: Letter) -> None:
        """Find out what waits."""
        letter.box = (await self._bucket.get(_key(letter))).value or EMPTY

    async def keep(self, letter: Letter) -> int:
        """Put what is left into the mailbox; return how many messages wait there."""
        box = letter.box
        is_changed = without(box.items, letter.given) != box.items or letter.settled
        if not letter.is_kept and (letter.items != box.items or is_changed):
            await self.update(letter)
        return len(pages(letter.box.items, letter.rules.passive, note=letter.rules.more))

    async def update(self, letter: Letter, *, offered: str = "") -> None:
        """Bring the mailbox up to what the letter knows; repeating it changes nothing."""
        left = without(letter.own, letter.given)

        def change(old: Box | None) -> tuple[Box | None, Box]:
            box = mailbox.remove(old or EMPTY, letter.given)
            box = mailbox.put(box, letter.delivery.id, left, cut=letter.rules.cut)
            box = mailbox.settle(box, letter.settled)
            box = mailbox.offer(box, offered) if offered else box
            return (None if box == old else box), box

        letter.box = await self._bucket.update(_key(letter), change)
        letter.is_kept = True


def _key(letter: Letter) -> str:
    return f"{letter.account.id}.{letter.delivery.conv}"
