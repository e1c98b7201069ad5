"""What a user may still be sent: decided and paid for in one compare-and-swap of the ledger."""

from collections.abc import Callable

from msgspec import structs
from queqiao_common.errors import TransientError
from queqiao_common.kv import Documents

from queqiao_egress import quota
from queqiao_egress.letter import Letter
from queqiao_egress.plan import UNLIMITED, Plan, Rules, Situation, plan
from queqiao_egress.quota import Ledger


class Allowance:
    """The ledgers of all users, each with what WeChat allows and what was taken of it."""

    def __init__(self, ledgers: Documents[Ledger], *, now_ms: Callable[[], int]) -> None:
        self._ledgers = ledgers
        self._now_ms = now_ms

    async def plan(self, letter: Letter, rules: Rules) -> Plan:
        """Plan, and take the messages of the plan from the ledger, in one compare-and-swap."""
        delivery, allows = letter.delivery, letter.channel.traits.quota
        if allows is None:
            return await self._plan_unlimited(letter, rules)
        used = letter.marker.used if letter.marker else 0

        def change(ledger: Ledger | None) -> tuple[Ledger | None, Plan]:
            now_ms = self._now_ms()
            known = quota.observe(ledger, delivery.waiting, allows, now_ms=now_ms)
            situation = Situation(
                mode=letter.account.mode,
                items=letter.items,
                final=delivery.final,
                now_ms=now_ms,
                left=quota.left(known, delivery_id=delivery.id, used=used, now_ms=now_ms),
                allowed=quota.allowed(known, now_ms=now_ms),
                link=letter.link,
            )
            chosen = plan(situation, rules)
            count = used + len(chosen.messages)
            taken = quota.take(known, delivery_id=delivery.id, count=count, now_ms=now_ms)
            return (None if not chosen.messages or taken == ledger else taken), chosen

        return await self._ledgers.update(_key(letter), change)

    async def give_back(self, letter: Letter, *, is_exhausted: bool) -> None:
        """Leave the messages that were taken and not sent to others, or to nobody."""
        used = letter.marker.used if letter.marker else 0
        allows = letter.channel.traits.quota
        if allows is None:
            return

        def change(ledger: Ledger | None) -> tuple[Ledger | None, None]:
            now_ms = self._now_ms()
            known = quota.observe(ledger, letter.delivery.waiting, allows, now_ms=now_ms)
            settle = quota.exhaust if is_exhausted else quota.give_back
            return settle(known, delivery_id=letter.delivery.id, used=used, now_ms=now_ms), None

        await self._ledgers.update(_key(letter), change)

    async def closes_ms(self, letter: Letter) -> int | None:
        """Return when the user can no longer be answered; None where that never is."""
        if letter.channel.traits.quota is None:
            return None
        ledger = (await self._ledgers.get(_key(letter))).value
        return quota.closes_ms(ledger) if ledger is not None else None

    async def _plan_unlimited(self, letter: Letter, rules: Rules) -> Plan:
        """Plan where nothing is counted; where messages are paced, only what this minute holds.

        Raises:
            TransientError: this minute holds nothing more.
        """
        situation = Situation(
            mode=letter.account.mode,
            items=letter.items,
            final=True,
            now_ms=self._now_ms(),
            left=UNLIMITED,
            allowed=UNLIMITED,
        )
        chosen, per_minute = plan(situation, rules), letter.channel.traits.per_minute
        if not per_minute or not chosen.messages:
            return chosen

        def change(ledger: Ledger | None) -> tuple[Ledger | None, tuple[int, int]]:
            known, now_ms = ledger or Ledger(), self._now_ms()
            room, wait_ms = quota.paced(known, per_minute=per_minute, now_ms=now_ms)
            count = min(room, len(chosen.messages))
            return quota.spend(known, count=count, now_ms=now_ms) if count else None, (
                count,
                wait_ms,
            )

        count, wait_ms = await self._ledgers.update(_key(letter), change)
        if not count:
            raise TransientError(
                f"{per_minute} messages of this minute are sent", after=wait_ms / 1000
            )
        return structs.replace(chosen, messages=chosen.messages[:count])


def _key(letter: Letter) -> str:
    return f"{letter.account.id}.{letter.delivery.conv}"
