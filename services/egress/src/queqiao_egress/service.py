"""The handlers: a `Delivery` leaves by the waiting request, by API, or waits in the mailbox."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from weakref import WeakValueDictionary

import msgspec
from queqiao_common import telemetry
from queqiao_common.claims import Claim, claim_key
from queqiao_common.errors import PermanentError, TransientError
from queqiao_common.events import (
    Delivery,
    DeliveryResult,
    Event,
    PassiveOffer,
    Waiting,
    WindowMissed,
)
from queqiao_common.kv import Documents
from queqiao_common.settings import Account, Config
from queqiao_common.worker import Buried, Received
from queqiao_wechat.client import WeChatError

from queqiao_egress import mailbox
from queqiao_egress.dressing import items_of, rules_of
from queqiao_egress.letter import Letter
from queqiao_egress.mailbox import EMPTY, Box
from queqiao_egress.offers import Claims, Handover
from queqiao_egress.pages import pages, without
from queqiao_egress.plan import Offer, Situation, Window, plan
from queqiao_egress.sending import Client, Sending

log = logging.getLogger(__name__)

ATTEMPTS = 3
ATTEMPT_SECONDS = 5.0
"""A passive-only account's message is delivered three times, 5 s apart (protocol reference 4.1)."""
LATE_MS = 500
"""How long after a window's end its claim may still come."""
AGAIN_MS = 1_500
"""How long after a window's end WeChat's next delivery, which is answered at once, has ended."""
TYPING_MS = 10_000
"""After that a missed window is too old to show typing for."""
STALE_MS = 10_000
"""After that a first delivery proves nothing: its consumer may have been created anew."""

_decode_delivery = msgspec.json.Decoder(Delivery).decode


class Egress:
    """Delivers replies to WeChat."""

    def __init__(
        self,
        config: Config,
        *,
        claims: Claims,
        boxes: Documents[Box],
        sending: Sending,
        clients: Mapping[str, Client],
        owner: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._config = config
        self._rules = rules_of(config.delivery)
        self._claims = claims
        self._boxes = boxes
        self._sending = sending
        self._clients = clients
        self._now_ms = now_ms
        self._offer_ids = (f"offer:{owner}:{number}" for number in itertools.count())
        self._running: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def deliver(self, received: Received[Delivery]) -> AsyncIterator[Event]:
        """Give a user what they shall read next, and say what became of it."""
        # A redelivery of what this process still sends waits here, and then finds it sent.
        lock = self._running.setdefault(received.event.id, asyncio.Lock())
        async with lock:
            letter = self._letter(received)
            async for event in self._carry_out(letter):
                yield event

    async def show_typing(self, received: Received[WindowMissed]) -> AsyncIterator[Event]:
        """Show that an answer is being written: an ornament, so a failure is only noted."""
        missed = received.event
        client = self._clients.get(missed.account)
        is_late = self._now_ms() - received.published_ms > TYPING_MS
        if client is not None and self._config.delivery.typing and not is_late:
            try:
                await client.typing(missed.openid)
            except (WeChatError, TransientError) as error:
                log.info("typing.failed", extra={"detail": str(error)[:300]})
        return
        yield  # a handler is a generator, though this one publishes nothing

    async def give_up(self, buried: Buried) -> AsyncIterator[Event]:
        """Tell the conversation of a delivery that could not be handled, so that it goes on."""
        try:
            delivery = _decode_delivery(buried.body)
        except msgspec.MsgspecError:
            return  # nobody can say whose it was; the turn's deadline will end it
        yield DeliveryResult(
            id=f"sent:{delivery.id}",
            account=delivery.account,
            conv=delivery.conv,
            turn_id=delivery.turn_id,
            delivery_id=delivery.id,
            status="failed",
            reasons=(f"given up: {buried.reason}",),
            msgids=tuple(one.msgid for one in delivery.waiting),
        )

    # -- one delivery -----------------------------------------------------------------------

    def _letter(self, received: Received[Delivery]) -> Letter:
        delivery = received.event
        account = self._config.account(delivery.account)
        if account is None:
            raise PermanentError(f"no account {delivery.account!r} is configured")
        own = items_of(delivery, markdown=self._config.delivery.markdown)
        is_stale = self._now_ms() - received.published_ms > STALE_MS
        attempt = max(received.attempt, 2 if is_stale else 1)
        return Letter(delivery=delivery, account=account, attempt=attempt, own=own)

    async def _carry_out(self, letter: Letter) -> AsyncIterator[Event]:
        await self._recall(letter)
        waiting = await self._waiting(letter)
        for superseded in waiting[1:]:
            yield self._offer(letter, superseded.msgid, "", ())
        if letter.is_done:
            letter.reasons.append("done by an earlier attempt")
        else:
            async for offer in self._give(letter, waiting):
                yield offer
        yield self._report(letter, parked=await self._keep(letter))

    async def _give(self, letter: Letter, waiting: list[Waiting]) -> AsyncIterator[Event]:
        """Give what is left: to the newest waiting request, then by API."""
        if waiting:
            async for offer in self._hand_over(letter, self._window(letter, waiting[0])):
                yield offer
        elif letter.account.mode == "passive":
            letter.reasons.append("no request waits: kept for the user's next message")
        elif letter.account.mode == "auto":
            letter.reasons.append("no window is open any more")
        if letter.items and letter.account.mode != "passive":
            await self._sending.send(letter)
        if letter.failed:
            letter.give([item.id for item in letter.items])

    async def _recall(self, letter: Letter) -> None:
        """Find out what waits in the mailbox, and what earlier attempts have sent.

        What a first attempt cannot need is not read: most deliveries cost no read at all.
        """
        is_repeated, is_passive = letter.attempt > 1, letter.account.mode == "passive"
        if is_repeated or is_passive or letter.delivery.parked or not letter.is_first:
            letter.box = (await self._boxes.get(_key(letter))).value or EMPTY
        if is_repeated and not is_passive:
            await self._sending.resume(letter)

    async def _waiting(self, letter: Letter) -> list[Waiting]:
        """Return the waiting messages whose requests can carry a reply, newest first."""
        waiting = []
        for one in reversed(letter.delivery.waiting):
            claim = await self._claim_on(letter, one)
            if claim is not None:
                letter.note_claim(claim)
            elif self._is_open(letter.account, one):
                waiting.append(one)
        await self._settle_offered(letter, waiting)
        return waiting

    async def _claim_on(self, letter: Letter, one: Waiting) -> Claim | None:
        if letter.account.mode == "active":
            return None
        key = claim_key(letter.account.id, one.msgid)
        if letter.attempt == 1 and letter.is_first:  # no offer was made: a claim would be news
            return self._claims.heard(key)
        return await self._claims.look(key)

    async def _settle_offered(self, letter: Letter, waiting: list[Waiting]) -> None:
        """Take out of the mailbox what earlier offers have handed out, or stop them.

        The request that is about to be offered something new keeps its offer: the new one
        replaces it.
        """
        target = waiting[0].msgid if waiting else ""
        settled = [msgid for msgid in letter.box.offered if msgid != target]
        for msgid in settled:
            key = claim_key(letter.account.id, msgid)
            claim = await self._claims.settle(key, Claim(kind="reply"))
            letter.note_claim(claim)
        letter.settled.extend(settled)

    def _is_open(self, account: Account, one: Waiting) -> bool:
        return self._now_ms() < one.received_ms + _window_ms(account)

    def _window(self, letter: Letter, one: Waiting) -> Window:
        until_ms = one.received_ms + _window_ms(letter.account)
        return Window(msgid=one.msgid, until_ms=until_ms)

    async def _hand_over(self, letter: Letter, window: Window) -> AsyncIterator[Event]:
        """Offer to the waiting request what the plan says, and wait for its claim."""
        situation = Situation(
            mode=letter.account.mode,
            items=letter.items,
            final=letter.delivery.final,
            now_ms=self._now_ms(),
            window=window,
        )
        chosen = plan(situation, self._rules)
        letter.reasons.extend(chosen.reasons)
        if chosen.offer is None:
            if letter.delivery.final:  # nothing will come that its request should wait for
                yield self._offer(letter, window.msgid, "", ())
        elif chosen.offer.now:
            async for offer in self._hand_over_now(letter, chosen.offer):
                yield offer
        else:
            await self._update_box(letter, offered=window.msgid)
            page = chosen.offer.page
            yield self._offer(letter, window.msgid, page.text, page.carried, now=False)

    async def _hand_over_now(self, letter: Letter, offer: Offer) -> AsyncIterator[Event]:
        page, window = offer.page, offer.window
        otherwise = (
            Claim(kind="thinking", answer=self._config.delivery.thinking)
            if letter.account.mode == "passive"
            else Claim(kind="later")
        )
        handover = Handover(
            self._claims,
            key=claim_key(letter.account.id, window.msgid),
            until_ms=window.until_ms + LATE_MS,
            otherwise=otherwise,
            now_ms=self._now_ms,
        )
        offers = handover.offers(lambda: self._offer(letter, window.msgid, page.text, page.carried))
        async for event in offers:
            yield event
        claim = handover.claim or otherwise
        is_taken = letter.give_passively(claim.items)
        letter.reasons.append("handed over" if is_taken else f"not taken: {claim.kind}")
        if is_taken:
            await self._until_given(letter, window)
        if window.msgid in letter.box.offered:
            letter.settled.append(window.msgid)

    async def _until_given(self, letter: Letter, window: Window) -> None:
        """Wait until the claimed reply has left, so that nothing that follows overtakes it.

        Not longer than until WeChat's next delivery of the message has been answered with it.
        """
        seconds = (window.until_ms + AGAIN_MS - self._now_ms()) / 1000
        key = claim_key(letter.account.id, window.msgid)
        if not await self._claims.until_given(key, seconds):
            letter.reasons.append("not heard that it has left: another may overtake it")

    def _offer(
        self, letter: Letter, msgid: str, text: str, items: tuple[str, ...], *, now: bool = True
    ) -> PassiveOffer:
        return PassiveOffer(
            id=next(self._offer_ids),
            account=letter.account.id,
            conv=letter.delivery.conv,
            msgid=msgid,
            text=text,
            items=items,
            now=now,
        )

    # -- what is left -----------------------------------------------------------------------

    async def _keep(self, letter: Letter) -> int:
        """Put what is left into the mailbox; return how many messages wait there."""
        box = letter.box
        is_changed = without(box.items, letter.given) != box.items or letter.settled
        if not letter.is_kept and (letter.items != box.items or is_changed):
            await self._update_box(letter)
        return len(pages(letter.box.items, self._rules.passive, note=self._rules.more))

    async def _update_box(self, letter: Letter, *, offered: str = "") -> None:
        """Bring the mailbox up to what the letter knows; repeating it changes nothing."""
        left = without(letter.own, letter.given)

        def change(old: Box | None) -> tuple[Box | None, Box]:
            box = mailbox.remove(old or EMPTY, letter.given)
            box = mailbox.put(box, letter.delivery.id, left, cut=self._rules.cut)
            box = mailbox.settle(box, letter.settled)
            box = mailbox.offer(box, offered) if offered else box
            return (None if box == old else box), box

        letter.box = await self._boxes.update(_key(letter), change)
        letter.is_kept = True

    def _report(self, letter: Letter, parked: int) -> DeliveryResult:
        """Answer "why did this user see that?": one line, span attributes, and the event."""
        result = letter.result(parked=parked)
        telemetry.note(
            {
                telemetry.TURN_ID: result.turn_id,
                telemetry.PLAN: result.reasons,
                telemetry.VIA: result.via,
            }
        )
        fields = {
            name: getattr(result, name)
            for name in (
                "delivery_id", "turn_id", "status", "via", "parts", "parked", "errcode", "reasons",
            )
        }  # fmt: skip
        log.info("delivery.done", extra=fields)
        return result


def _window_ms(account: Account) -> int:
    """Return how long after its arrival a message's request can carry a reply, in ms."""
    if account.mode == "active":
        return 0
    seconds = ATTEMPTS * ATTEMPT_SECONDS if account.mode == "passive" else account.passive_window
    return int(seconds * 1000)


def _key(letter: Letter) -> str:
    return f"{letter.account.id}.{letter.delivery.conv}"
