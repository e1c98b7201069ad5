"""One handling of one delivery: what is still to be given, and what has become of the rest."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from queqiao_common.claims import Claim
from queqiao_common.events import Delivery, DeliveryResult
from queqiao_common.settings import Account

from queqiao_egress.channels.port import Channel, Recipient
from queqiao_egress.mailbox import EMPTY, Box
from queqiao_egress.pages import Items, plain, without
from queqiao_egress.plan import Rules
from queqiao_egress.sent import Marker

TRANSFER = "transfer."
"""Before a delivery's id: what a claim carries that hands the user over to people."""


@dataclass(kw_only=True)
class Letter:
    """What is known while a delivery is handled; `given` are references (see `pages`).

    `worded` are the items whose attachment could not be shown: they are said in words. `doubted`
    is what an earlier attempt may have sent, where a repeat under the same key is harmless.
    """

    delivery: Delivery
    account: Account
    channel: Channel
    rules: Rules
    attempt: int
    own: Items
    link: str = ""
    box: Box = EMPTY
    worded: list[str] = field(default_factory=list)
    doubted: tuple[str, ...] = ()
    given: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)  # msgids whose offers have had their outcome
    is_kept: bool = False  # the mailbox already says so
    marker: Marker | None = None
    passive: bool = False
    transferred: bool = False
    unreached: bool = False  # it was to hand over to people, and could not
    errcode: int = 0
    failed: bool = False
    reasons: list[str] = field(default_factory=list)

    @property
    def items(self) -> Items:
        """What the user has still to be given, oldest first."""
        own = () if self.delivery.id in self.box.seen else self.own
        return plain(without((*self.box.items, *own), self.given), self.worded)

    @property
    def recipient(self) -> Recipient:
        """Whom it is for."""
        delivery = self.delivery
        return Recipient(openid=delivery.openid, peer=delivery.peer, waiting=delivery.waiting)

    @property
    def is_first(self) -> bool:
        """Whether nothing of its turn was delivered before."""
        return self.delivery.kind != "collect" and self.delivery.id.endswith(".1")

    @property
    def is_done(self) -> bool:
        """Whether an earlier attempt has done all there was to do, and only its word was lost."""
        return self.delivery.id in self.box.seen or (self.marker is not None and self.marker.done)

    def give(self, carried: Iterable[str]) -> bool:
        """Note that the user has been given this; return whether it was still to be given."""
        before = self.items
        self.given.extend(carried)
        return self.items != before

    def give_passively(self, carried: tuple[str, ...]) -> bool:
        """Note that our offer was taken with this; return whether it was still to be given."""
        is_news = self.give(carried) or self._is_transfer(carried)
        self.passive |= is_news
        return is_news

    def _is_transfer(self, carried: tuple[str, ...]) -> bool:
        """Note whether the claim is that of our hand-over to people."""
        self.transferred |= self.transfer_item in carried
        return self.transfer_item in carried

    @property
    def transfer_item(self) -> str:
        """What the claim carries that hands this delivery's user over."""
        return TRANSFER + self.delivery.id

    def note_claim(self, claim: Claim) -> None:
        """Note what a message was answered with before, perhaps by this delivery's own offer."""
        self.give(claim.items)
        own = {item.id for item in self.own}
        self.passive |= self._is_transfer(claim.items)
        self.passive |= any(one.partition(":")[0] in own for one in claim.items)

    def result(self, *, parked: int) -> DeliveryResult:
        """Say what became of the delivery, with `parked` messages in the mailbox."""
        by_api = self.marker.parts if self.marker else 0
        status, via = self._outcome(by_api=by_api, parked=parked)
        return DeliveryResult(
            id=f"sent:{self.delivery.id}",
            account=self.delivery.account,
            conv=self.delivery.conv,
            turn_id=self.delivery.turn_id,
            delivery_id=self.delivery.id,
            status=status,
            via=via,
            parts=by_api + self.passive,
            parked=parked,
            errcode=self.errcode,
            reasons=tuple(self.reasons),
            msgids=tuple(one.msgid for one in self.delivery.waiting),
            unreached=self.unreached,
        )

    def _outcome(
        self, *, by_api: int, parked: int
    ) -> tuple[
        Literal["delivered", "failed", "parked"], Literal["passive", "api", "mailbox", "none"]
    ]:
        via: Literal["passive", "api", "none"] = (
            "api" if by_api else "passive" if self.passive else "none"
        )
        if self.failed:
            return "failed", via
        if via == "none" and parked:
            return "parked", "mailbox"
        return "delivered", via
