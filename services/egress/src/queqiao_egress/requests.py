"""Requests that still wait for a reply: who they are, what they are offered, who claims them."""

import itertools
from collections.abc import AsyncIterator, Callable

from queqiao_common.claims import Claim, claim_key
from queqiao_common.events import Event, Form, PassiveOffer, Waiting

from queqiao_egress.attaching import Attachments, form_of
from queqiao_egress.boxes import Boxes
from queqiao_egress.letter import Letter
from queqiao_egress.offers import Claims, Handover
from queqiao_egress.plan import Offer, Situation, Window, plan
from queqiao_egress.streaming import Streams

LATE_MS = 500
"""How long after a window's end its claim may still come."""
AGAIN_MS = 1_500
"""How long after a window's end WeChat's next delivery, which is answered at once, has ended."""


class Requests:
    """The waiting requests, and the streams, of one replica's deliveries."""

    def __init__(
        self,
        claims: Claims,
        boxes: Boxes,
        streams: Streams,
        attachments: Attachments,
        *,
        thinking: str,
        owner: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._claims = claims
        self._boxes = boxes
        self._streams = streams
        self._attachments = attachments
        self._thinking = thinking
        self._now_ms = now_ms
        self._offer_ids = (f"offer:{owner}:{number}" for number in itertools.count())

    async def waiting(self, letter: Letter) -> list[Waiting]:
        """Return the waiting messages whose requests can carry a reply, newest first."""
        waiting = []
        for one in reversed(letter.delivery.waiting):
            claim = await self._claim_on(letter, one)
            if claim is not None:
                letter.note_claim(claim)
            elif await self._is_open(letter, one):
                waiting.append(one)
        await self._settle_offered(letter, waiting)
        return waiting

    async def _claim_on(self, letter: Letter, one: Waiting) -> Claim | None:
        if not self._open_seconds(letter) or letter.account.mode == "stream":
            return None
        key = claim_key(letter.account.id, one.msgid)
        if letter.attempt == 1 and letter.is_first:  # no offer was made: a claim would be news
            return self._claims.heard(key)
        claim = await self._claims.look(key)
        if claim is None and not await self._is_open(letter, one):
            # An earlier attempt's offer may still be taken, as it is remembered: by the request or
            # by us, never by both.
            claim = await self._claims.settle(key, self._otherwise(letter))
        return claim

    def _otherwise(self, letter: Letter) -> Claim:
        """Return how a message is claimed whose window ends without its reply."""
        if letter.account.mode == "passive":
            return Claim(kind="thinking", answer=self._thinking)
        return Claim(kind="later")

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

    async def _is_open(self, letter: Letter, one: Waiting) -> bool:
        if self._now_ms() >= self.window(letter, one).until_ms:
            return False
        return letter.account.mode != "stream" or await self._streams.is_open(letter, one)

    def _open_seconds(self, letter: Letter) -> float:
        """Return how long after its arrival a message's request can carry what is to be given."""
        traits, is_transfer = letter.channel.traits, letter.delivery.transfer
        return traits.transfer_seconds if is_transfer else traits.open_seconds

    def window(self, letter: Letter, one: Waiting) -> Window:
        """Return until when a waiting message can carry what is to be given."""
        until_ms = one.received_ms + int(self._open_seconds(letter) * 1000)
        return Window(msgid=one.msgid, until_ms=until_ms)

    async def hand_over(self, letter: Letter, window: Window) -> AsyncIterator[Event]:
        """Offer to the waiting request what the plan says, and wait for its claim."""
        offer, form = await self._planned_offer(letter, window)
        if offer is None:
            if letter.delivery.final:  # nothing will come that its request should wait for
                yield self.offer(letter, window.msgid, "", ())
        elif offer.now:
            async for event in self.hand_over_now(letter, offer, form):
                yield event
        else:
            await self._boxes.update(letter, offered=window.msgid)
            page = offer.page
            yield self.offer(letter, window.msgid, page.text, page.carried, now=False, form=form)

    async def _planned_offer(
        self, letter: Letter, window: Window
    ) -> tuple[Offer | None, Form | None]:
        """Plan the offer, in words where what it is to show cannot be uploaded."""
        while True:
            situation = Situation(
                mode=letter.account.mode,
                items=letter.items,
                final=letter.delivery.final,
                now_ms=self._now_ms(),
                window=window,
                link=letter.link,
            )
            chosen = plan(situation, letter.rules)
            shown = chosen.offer.page.attachment if chosen.offer else None
            if chosen.offer is None or shown is None:
                letter.reasons.extend(chosen.reasons)
                return chosen.offer, None
            media_id = await self._attachments.ready(letter.account.id, letter.channel, shown)
            if media_id is not None:
                letter.reasons.extend(chosen.reasons)
                return chosen.offer, form_of(shown, media_id)
            letter.reasons.append(f"{shown.kind}: could not be uploaded, said in words")
            letter.worded.extend(chosen.offer.page.carried)

    async def hand_over_now(
        self, letter: Letter, offer: Offer, form: Form | None
    ) -> AsyncIterator[Event]:
        """Offer this, again and again, until it is claimed or its window has ended.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        page, window = offer.page, offer.window
        otherwise = self._otherwise(letter)
        handover = Handover(
            self._claims,
            key=claim_key(letter.account.id, window.msgid),
            until_ms=window.until_ms + LATE_MS,
            otherwise=otherwise,
            now_ms=self._now_ms,
        )
        offers = handover.offers(
            lambda: self.offer(letter, window.msgid, page.text, page.carried, form=form)
        )
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

    def offer(
        self,
        letter: Letter,
        msgid: str,
        text: str,
        items: tuple[str, ...],
        *,
        now: bool = True,
        form: Form | None = None,
    ) -> PassiveOffer:
        """Return an offer to a waiting request; each has an id of its own: repeats must count."""
        return PassiveOffer(
            id=next(self._offer_ids),
            account=letter.account.id,
            conv=letter.delivery.conv,
            msgid=msgid,
            text=text,
            items=items,
            now=now,
            form=form,
        )
