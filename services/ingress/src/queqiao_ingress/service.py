"""What becomes of a callback that is believed: published, held, answered.

Every way to answer with a reply goes through a claim, created before the answer leaves: so a
message is answered by exactly one request or by the API, and a delivery that WeChat repeats gets
the same text from any replica. That is also why a handler may die at any point: whatever it had
claimed is given to the next delivery.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import msgspec
from prometheus_client import Histogram
from queqiao_common import telemetry
from queqiao_common.answers import PubAck, Raw, StreamFull
from queqiao_common.claims import Claim, Tries, claim_key, tries_key
from queqiao_common.errors import BrokerUnavailable, QueqiaoError
from queqiao_common.events import Event, InboundMessage, PassiveOffer, ReplyGiven, WindowMissed
from queqiao_common.failpoints import failpoint
from queqiao_common.kv import Documents
from queqiao_common.settings import Config

from queqiao_ingress.callback import (
    Callback,
    Hold,
    Ignore,
    Poll,
    Publish,
    Reply,
    Say,
    Stream,
)
from queqiao_ingress.people import People
from queqiao_ingress.streams import Streams
from queqiao_ingress.waiting import Gone, Seat, Stay, Terms, WaitingRoom

log = logging.getLogger(__name__)

LONGEST = 6.0
"""Seconds after which a silent request ends by itself: WeChat leaves after 5."""
CLAIM_TIMEOUT = 1.0
"""Seconds for one decision about a claim."""
MISSED_TIMEOUT = 2.0

HELD = Histogram(
    "queqiao_ingress_held_seconds",
    "How long callbacks were held open, by account and answer.",
    ["account", "answer"],
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6),
)

Kind = Literal[
    "success",
    "reply",
    "later",
    "thinking",
    "busy",
    "ignored",
    "said",
    "stream",
    "silent",
    "gone",
    "unavailable",
]

NOTHING = Reply()

_decode_offer = msgspec.json.Decoder(PassiveOffer).decode


@dataclass(frozen=True, slots=True)
class Answer:
    """What one callback is told; a reply that shows nothing is `success`.

    `delivery` counts WeChat's deliveries of the message from 1; only passive accounts count past 2.
    Once it is out, `missed` is to be published, and an answer that `carries` a reply to be noted as
    given. `trouble` says why there is no answer.
    """

    kind: Kind
    reply: Reply = NOTHING
    delivery: int = 1
    missed: WindowMissed | None = None
    carries: bool = False
    trouble: str = ""

    @property
    def status(self) -> int:
        """The HTTP status: 503 wherever WeChat shall deliver the message again."""
        return 503 if self.kind in {"silent", "gone", "unavailable"} else 200


class Publisher(Protocol):
    """What ingress needs of the bus."""

    @property
    def connected(self) -> bool:
        """Whether the broker can be spoken to right now."""

    async def publish_event(
        self, event: Event, *, parent: Mapping[str, str] | None = None, deadline: float = 30.0
    ) -> PubAck:
        """Publish until acknowledged, for at most `deadline` seconds."""


class Ingress:
    """Answers callbacks; `room` is what this replica knows, the rest stands in JetStream."""

    def __init__(
        self,
        config: Config,
        *,
        publisher: Publisher,
        claims: Documents[Claim],
        tries: Documents[Tries],
        streams: Streams,
        room: WaitingRoom,
        people: People,
        longest: float = LONGEST,
    ) -> None:
        self._settings = config.ingress
        self._delivery = config.delivery
        self._windows = {account.id: account.passive_window for account in config.accounts}
        self._publisher = publisher
        self._claims = claims
        self._tries = tries
        self._streams = streams
        self._room = room
        self._people = people
        self._longest = longest

    def hear(self, raw: Raw) -> None:
        """Take an offer that egress made to whichever replica holds the request."""
        try:
            offer = _decode_offer(raw.data)
        except msgspec.MsgspecError:
            log.warning("offer.unreadable", extra={"subject": raw.subject})
            return
        self._room.hear(offer)

    async def answer(self, callback: Callback, *, began: float, gone: Gone) -> Answer:
        """Publish what a callback says and find what to tell it.

        `began` is when the request arrived (loop time); `gone` returns when its client has left.
        """
        try:
            return await self._act(callback, began, gone)
        except QueqiaoError as error:
            return Answer("unavailable", trouble=type(error).__name__)

    async def _act(self, callback: Callback, began: float, gone: Gone) -> Answer:
        match callback.purpose:
            case Ignore():
                return Answer("ignored")
            case Say(text=text):
                return Answer("said", Reply(text))
            case Publish(event=InboundMessage() as event, may_hand_over=True) if self._people.have(
                event
            ):
                return await self._hold(callback, Hold(event, "transfer"), began, gone)
            case Publish(event=event, announces=announces):
                return await self._pass_on(callback, event, announces=announces)
            case Hold() as hold:
                return await self._hold(callback, hold, began, gone)
            case Stream(event=event):
                return await self._stream(callback, event)
            case Poll() as poll:
                return await self._poll(poll)

    async def follow_up(
        self, message: InboundMessage, answer: Answer, trace: Mapping[str, str]
    ) -> None:
        """Say what egress waits to hear, once the answer is out."""
        if answer.carries:
            await self._note_given(message, answer, trace)
        if answer.missed is not None:
            await self._announce(answer.missed, trace)

    async def _note_given(
        self, message: InboundMessage, answer: Answer, trace: Mapping[str, str]
    ) -> None:
        """Let the conversation go on: the reply can no longer be overtaken."""
        try:
            await self._publisher.publish_event(
                ReplyGiven(
                    id=f"given:{message.account}:{message.msgid}",
                    account=message.account,
                    msgid=message.msgid,
                    delivery=answer.delivery,
                ),
                parent=trace,
                deadline=CLAIM_TIMEOUT,
            )
        except QueqiaoError as error:
            # Egress then waits for as long as WeChat may still deliver the message again.
            log.warning("given.lost", extra={"error": type(error).__name__})

    async def _announce(self, missed: WindowMissed, trace: Mapping[str, str]) -> None:
        """Say that a request ended without its reply, in the trace of its message."""
        try:
            await self._publisher.publish_event(missed, parent=trace, deadline=MISSED_TIMEOUT)
        except QueqiaoError as error:
            # The reply comes all the same; only 对方正在输入 is not shown.
            log.warning("missed.lost", extra={"error": type(error).__name__})

    async def _pass_on(self, callback: Callback, event: Event, *, announces: bool = True) -> Answer:
        """Publish what is answered by API, if at all."""
        ack = await self._publish(event)
        if ack is None:
            return self._full(callback)
        is_shown = announces and self._delivery.typing and not ack.duplicate
        message = callback.message if is_shown else None
        return Answer(
            "success", delivery=1 + ack.duplicate, missed=_missed(message) if message else None
        )

    async def _stream(self, callback: Callback, message: InboundMessage) -> Answer:
        """Publish a message, and begin to show its answer."""
        if await self._publish(message) is None:
            return self._full(callback)
        async with _in_time():
            display = await self._streams.begin(message)
        return Answer("stream", Reply(display.text, is_final=display.is_final))

    async def _poll(self, poll: Poll) -> Answer:
        """Show what there is; a stream that nobody knows is closed, or it is asked for ever."""
        async with _in_time():
            display = await self._streams.look(poll.account, poll.msgid)
        if display is None:
            return Answer("stream", Reply())
        return Answer("stream", Reply(display.text, is_final=display.is_final))

    async def _hold(self, callback: Callback, hold: Hold, began: float, gone: Gone) -> Answer:
        """Publish a message and hold its request open for the reply."""
        message, is_transfer = hold.event, hold.mode == "transfer"
        key = (message.account, message.msgid)
        if self._room.refuses(key):
            # Without a hand-over it is answered all the same, and its user told so.
            return await self._pass_on(callback, message) if is_transfer else self._busy()
        if self._room.is_crowded(key):
            return Answer("unavailable", trouble="crowded")
        with self._room.seat(key) as seat:
            ack = await self._publish(message)
            if ack is None:
                return self._full(callback)
            delivery = 1
            if ack.duplicate:
                claim = await self._claim_of(message)
                if claim is not None:
                    return _told(claim, delivery=2)
                delivery = await self._count(message, hold.mode)
            elif hold.announces and self._delivery.typing:
                await self._announce(_missed(message), telemetry.current_headers())
            terms = Terms(hold.mode, delivery, self._delivery.thinking)
            async with seat.watching(gone):
                answer = await self._wait(message, seat, terms, began)
                if seat.is_gone:  # it has left, but to nobody: the next delivery carries it
                    answer = replace(answer, carries=False)
            if is_transfer:  # announced long ago, if at all
                answer = replace(answer, missed=None)
            seconds = asyncio.get_running_loop().time() - began
            HELD.labels(message.account, answer.kind).observe(seconds)
            return answer

    async def _wait(
        self, message: InboundMessage, seat: Seat, terms: Terms, began: float
    ) -> Answer:
        outcome = await seat.hold(terms, until=began + self._windows[message.account])
        if isinstance(outcome, Claim):
            return await self._take(message, outcome, delivery=terms.delivery)
        if outcome is Stay.SILENT:
            await seat.linger(until=began + self._longest)
            return Answer("silent", delivery=terms.delivery)
        return Answer("gone", delivery=terms.delivery)

    async def _publish(self, event: Event) -> PubAck | None:
        """Publish an event; None when the stream has no room for it.

        Raises:
            BrokerUnavailable: not acknowledged in time, or known to be in vain.
        """
        if not self._publisher.connected:
            raise BrokerUnavailable("not connected")
        try:
            failpoint("ingress.before_publish")
            ack = await self._publisher.publish_event(
                event, deadline=self._settings.publish_timeout
            )
        except StreamFull:
            return None
        failpoint("ingress.after_publish")
        return ack

    async def _claim_of(self, message: InboundMessage) -> Claim | None:
        async with _in_time():
            document = await self._claims.get(claim_key(message.account, message.msgid))
        return document.value

    async def _count(self, message: InboundMessage, mode: str) -> int:
        """Return which delivery of a message this is, known to be a repeated one."""
        if mode != "passive":
            return 2
        async with _in_time():
            return await self._tries.update(tries_key(message.account, message.msgid), _one_more)

    async def _take(self, message: InboundMessage, claim: Claim, *, delivery: int) -> Answer:
        """Claim the message; whoever was first decides what is said."""
        async with _in_time():
            won = await self._claims.create(claim_key(message.account, message.msgid), claim)
        failpoint("ingress.after_claim")
        if won:
            missed = _missed(message) if claim.kind == "later" else None
            return _told(claim, delivery=delivery, missed=missed)
        found = await self._claim_of(message)
        if found is None:
            raise BrokerUnavailable("the claim was lost to somebody, and has vanished")
        return _told(found, delivery=delivery)

    def _full(self, callback: Callback) -> Answer:
        """The stream has no room: say so, or have WeChat come again where nothing can be said."""
        if callback.takes_text:
            return self._busy()
        return Answer("unavailable", trouble=StreamFull.__name__)

    def _busy(self) -> Answer:
        return Answer("busy", Reply(self._settings.busy))


def _told(claim: Claim, *, delivery: int, missed: WindowMissed | None = None) -> Answer:
    reply, carries = Reply(claim.answer, claim.form), bool(claim.items)
    return Answer(claim.kind, reply, delivery=delivery, missed=missed, carries=carries)


def _one_more(tries: Tries | None) -> tuple[Tries, int]:
    count = 1 + (tries.count if tries is not None else 0)
    return Tries(count=count), 1 + count


def _missed(message: InboundMessage) -> WindowMissed:
    return WindowMissed(
        id=f"missed:{message.account}:{message.msgid}",
        account=message.account,
        conv=message.conv,
        openid=message.openid,
        msgid=message.msgid,
    )


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """Bound one exchange about a claim.

    An answer that is late is none, and the next delivery finds what was written.
    """
    try:
        async with asyncio.timeout(CLAIM_TIMEOUT):
            yield
    except TimeoutError as error:
        raise BrokerUnavailable(f"claims: no answer within {CLAIM_TIMEOUT} s") from error
