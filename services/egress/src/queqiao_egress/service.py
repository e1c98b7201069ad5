"""The handlers: a `Delivery` leaves by the waiting request, by API, or waits in the mailbox."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

import msgspec
from queqiao_common import telemetry
from queqiao_common.errors import PermanentError, TransientError
from queqiao_common.events import (
    Delivery,
    DeliveryResult,
    Event,
    Form,
    Waiting,
    WindowMissed,
)
from queqiao_common.kv import Documents
from queqiao_common.pages import address
from queqiao_common.settings import Config
from queqiao_common.worker import Buried, Received
from queqiao_wechat.client import UnreachableError, WeChatError

from queqiao_egress.attaching import Attachments
from queqiao_egress.boxes import Boxes
from queqiao_egress.channels.port import Channel, Recipient
from queqiao_egress.dressing import items_of, rules_of
from queqiao_egress.letter import Letter
from queqiao_egress.mailbox import Box
from queqiao_egress.offers import Claims
from queqiao_egress.pages import Page
from queqiao_egress.plan import Offer
from queqiao_egress.requests import Requests
from queqiao_egress.sending import Sending
from queqiao_egress.streaming import Streams

log = logging.getLogger(__name__)

TYPING_MS = 10_000
"""After that a missed window is too old to show typing for."""
STALE_MS = 10_000
"""After that a first delivery proves nothing: its consumer may have been created anew."""

_decode_delivery = msgspec.json.Decoder(Delivery).decode


@dataclass(frozen=True, kw_only=True)
class Ways:
    """What a delivery can leave by."""

    channels: Mapping[str, Channel]
    claims: Claims
    boxes: Documents[Box]
    sending: Sending
    streams: Streams
    attachments: Attachments


class Egress:
    """Delivers replies to WeChat."""

    def __init__(
        self, config: Config, ways: Ways, *, owner: str, now_ms: Callable[[], int]
    ) -> None:
        self._config = config
        self._rules = {
            account: rules_of(config.delivery, channel.traits)
            for account, channel in ways.channels.items()
        }
        self._channels = ways.channels
        self._boxes = Boxes(ways.boxes)
        self._sending = ways.sending
        self._streams = ways.streams
        self._requests = Requests(
            ways.claims,
            self._boxes,
            ways.streams,
            ways.attachments,
            thinking=config.delivery.thinking,
            owner=owner,
            now_ms=now_ms,
        )
        self._now_ms = now_ms
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
        channel = self._channels.get(missed.account)
        typing = channel.typing if channel is not None else None
        is_late = self._now_ms() - received.published_ms > TYPING_MS
        if typing is not None and self._config.delivery.typing and not is_late:
            try:
                await typing(missed.openid)
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
        channel, settings = self._channels[account.id], self._config.delivery
        markdown = settings.markdown or channel.traits.markdown
        is_stale = self._now_ms() - received.published_ms > STALE_MS
        return Letter(
            delivery=delivery,
            account=account,
            channel=channel,
            rules=self._rules[account.id],
            attempt=max(received.attempt, 2 if is_stale else 1),
            own=items_of(delivery, markdown=markdown, picture=settings.picture),
            link=self._link(delivery),
        )

    def _link(self, delivery: Delivery) -> str:
        """Return the text that leads to the page of the whole answer, where it has one."""
        pages_ = self._config.pages
        if not delivery.page or not pages_.base_url:
            return ""
        until_ms = self._now_ms() + int(pages_.ttl * 1000)
        url = address(pages_.base_url, pages_.key.reveal(), delivery.page, until_ms)
        return pages_.link.replace("{url}", url)

    async def _carry_out(self, letter: Letter) -> AsyncIterator[Event]:
        await self._recall(letter)
        waiting = await self._requests.waiting(letter)
        if letter.delivery.back:
            await self._take_back(letter)
        for superseded in waiting[1:]:
            async for offer in self._release(letter, superseded):
                yield offer
        if letter.is_done:
            letter.reasons.append("done by an earlier attempt")
        else:
            async for offer in self._give(letter, waiting):
                yield offer
            for one in self._held_in_vain(letter):
                yield self._requests.offer(letter, one.msgid, "", ())
        yield self._report(letter, parked=await self._boxes.keep(letter))

    async def _recall(self, letter: Letter) -> None:
        """Find out what waits in the mailbox, and what earlier attempts have sent.

        What a first attempt cannot need is not read: most deliveries cost no read at all.
        """
        is_repeated, is_passive = letter.attempt > 1, letter.account.mode == "passive"
        if is_repeated or is_passive or letter.delivery.parked or not letter.is_first:
            await self._boxes.read(letter)
        if is_repeated and not is_passive:
            await self._sending.resume(letter)

    async def _give(self, letter: Letter, waiting: list[Waiting]) -> AsyncIterator[Event]:
        """Give what is left: to the newest waiting request, then by API."""
        if letter.delivery.transfer and not letter.channel.has_agents:
            self._not_transferred(letter, "the channel has nobody to hand over to")
            if letter.failed:
                letter.give([item.id for item in letter.items])
        if letter.delivery.transfer and letter.channel.traits.transfers_passively:
            async for offer in self._transfer_passively(letter, waiting):
                yield offer
            return
        if waiting:
            async for offer in self._give_to_waiting(letter, waiting[0]):
                yield offer
        elif letter.account.mode == "passive":
            letter.reasons.append("no request waits: kept for the user's next message")
        elif letter.channel.traits.open_seconds:
            letter.reasons.append("no window is open any more")
        await self._send(letter)
        if letter.delivery.transfer and letter.channel.transfer and not letter.failed:
            await self._transfer_by_api(letter, letter.channel.transfer)

    def _held_in_vain(self, letter: Letter) -> tuple[Waiting, ...]:
        """Return the messages whose requests were held for a hand-over, and need not be longer."""
        traits = letter.channel.traits
        if not self._config.handover.by_any_message or not letter.delivery.final:
            return ()
        is_for_people = bool(traits.transfer_seconds) and not traits.open_seconds
        return letter.delivery.waiting if is_for_people else ()

    async def _send(self, letter: Letter) -> None:
        if letter.items and letter.account.mode != "passive":
            await self._sending.send(letter)
        if letter.failed:
            letter.give([item.id for item in letter.items])

    async def _give_to_waiting(self, letter: Letter, one: Waiting) -> AsyncIterator[Event]:
        if letter.account.mode == "stream":
            await self._streams.show(letter, one)
            return
        async for offer in self._requests.hand_over(letter, self._requests.window(letter, one)):
            yield offer

    async def _release(self, letter: Letter, one: Waiting) -> AsyncIterator[Event]:
        """Let a waiting request go whose message is answered together with a later one."""
        if letter.account.mode == "stream":
            await self._streams.close(letter, one)
            return
        yield self._requests.offer(letter, one.msgid, "", ())

    # -- people -----------------------------------------------------------------------------

    async def _take_back(self, letter: Letter) -> None:
        """Take the user back from people; what is to be said is said in any case."""
        if letter.channel.take_back is None:
            return
        try:
            await letter.channel.take_back(letter.recipient)
            letter.reasons.append("taken back from people")
        except WeChatError as error:
            letter.reasons.append("not taken back from people")
            log.warning("takeback.failed", extra={"detail": str(error)[:300]})

    def _not_transferred(self, letter: Letter, why: str) -> None:
        """Report it: the conversation then says so, unless an answer was what mattered."""
        letter.reasons.append(why)
        letter.unreached = True
        letter.failed |= letter.delivery.kind == "notice"

    async def _transfer_by_api(
        self, letter: Letter, transfer: Callable[[Recipient, str], Awaitable[None]]
    ) -> None:
        try:
            await transfer(letter.recipient, self._config.handover.agent)
            letter.reasons.append("handed over to people")
        except UnreachableError as error:
            raise TransientError(str(error)) from None
        except WeChatError as error:
            log.warning("transfer.failed", extra={"detail": str(error)[:300]})
            self._not_transferred(letter, "not handed over to people")

    async def _transfer_passively(
        self, letter: Letter, waiting: list[Waiting]
    ) -> AsyncIterator[Event]:
        """Have the waiting request hand the user over; what is to be said goes by API before."""
        if letter.transferred:
            letter.reasons.append("handed over by an earlier attempt")
            return
        await self._send(letter)
        if not waiting:
            self._not_transferred(letter, "no request waits that could hand over")
            return
        if letter.items:  # no way to say it: one answer is either a text or the hand-over
            letter.reasons.append("handed over instead of a text")
            letter.give([item.id for item in letter.items])
        window = self._requests.window(letter, waiting[0])
        form = Form(kind="transfer", agent=self._config.handover.agent)
        page = Page(text="", ai=False, carried=(letter.transfer_item,), rest=())
        offer = Offer(window=window, page=page, now=True)
        async for event in self._requests.hand_over_now(letter, offer, form):
            yield event
        if not letter.transferred:
            self._not_transferred(letter, "the request could not hand over any more")

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
