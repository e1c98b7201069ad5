"""Two replicas of ingress, context and egress: the real ones, in a world that can be stepped."""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import msgspec
from prometheus_client import REGISTRY
from queqiao_common.claims import Claim, Tries
from queqiao_common.displays import Display
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.events import (
    CompletionRequest,
    Delivery,
    DeliveryResult,
    Event,
    InboundMessage,
    Media,
    ScreenedMessage,
    ScreenedSegment,
    TurnTimeout,
    Verdict,
)
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.pages import Page as AnswerPage
from queqiao_common.people import WithPerson
from queqiao_common.settings import Account, Config, Secret
from queqiao_common.settings import Delivery as Settings
from queqiao_common.testing import ACCOUNT, MemoryObjects
from queqiao_common.topology import (
    CLAIMS,
    CONVERSATIONS,
    DISPLAYS,
    EGRESS_READY,
    MAILBOX,
    NOTES,
    PAGES,
    PEOPLE,
    QUOTA,
    SENT,
    Bucket,
)
from queqiao_common.worker import Received
from queqiao_context.chain import Chain, Gap
from queqiao_context.document import Arrival, Conversation
from queqiao_context.document import read as read_conversation
from queqiao_context.notes import Remembered
from queqiao_context.overload import Shed
from queqiao_context.service import Context, Documented
from queqiao_egress.allowance import Allowance
from queqiao_egress.attaching import Attachments
from queqiao_egress.channels.official import traits_of
from queqiao_egress.channels.port import Channel, Message, Recipient
from queqiao_egress.mailbox import Box
from queqiao_egress.offers import Claims
from queqiao_egress.outages import Outages
from queqiao_egress.progress import Progress
from queqiao_egress.quota import Ledger
from queqiao_egress.senders import Senders
from queqiao_egress.sending import Sending
from queqiao_egress.sent import Marker, Policy
from queqiao_egress.service import Egress, Ways
from queqiao_egress.streaming import Streams
from queqiao_ingress.people import People
from queqiao_ingress.service import Ingress
from queqiao_ingress.streams import Streams as OpenStreams
from queqiao_ingress.waiting import WaitingRoom

from tests.models.broker import BASE_MS, Broker, Handler, ProcessBus, Raw
from tests.models.platform import MARK, Chat, Client, Platform
from tests.models.turnstile import Fate, Gate, Loop, Process, Turnstile

OWNERS = {
    InboundMessage: "outside",
    ScreenedMessage: "context",
    CompletionRequest: "outside",
    ScreenedSegment: "context",
    Delivery: "egress",
    DeliveryResult: "context",
    TurnTimeout: "context",
}
Mode = Literal["passive", "active", "auto"]
OFFERS = "event.PassiveOffer"
GIVEN = "event.ReplyGiven"
CLAIM_RECORDS = f"$KV.{CLAIMS.name}."
PIECE = re.compile(r"【(c_\w+\.\d+)\.(\d+)\.(\d+)】")
"""A piece of an answer: of which turn of which conversation, its number, by which attempt."""
STEP = 0.001
TICK = 0.25
LONGEST = 400.0
"""Virtual seconds after which a world that still does not rest never will."""


@dataclass(frozen=True)
class Replica:
    """A process and the service in it."""

    process: Process
    service: Any
    handlers: dict[type[Event], Handler]
    hears: tuple[tuple[str, Callable[[Raw], None]], ...] = ()


class World:
    """Everything, and what must be true of it."""

    def __init__(self, *, mode: Mode, policy: Policy, quota: int, pieces: int) -> None:
        self.loop = Loop()
        asyncio.set_event_loop(None)
        self.turnstile = Turnstile()
        self.outside = Process("outside")
        self.pieces = pieces
        self.policy = policy
        self.config = Config(
            accounts=(Account(id=ACCOUNT, appid="wx1", token=Secret("t"), delivery=mode),),
            delivery=Settings(ambiguous=policy, quota=quota, typing=False),
        )
        self.broker = Broker(
            self.turnstile,
            service_of=lambda event: OWNERS.get(type(event)),
            choose=lambda service, pick: self._chosen(service, pick).process,
            handler_of=self._handler,
            listeners=self._listeners,
            outside=self.outside,
        )
        self.platform = Platform(
            self.turnstile,
            outside=self.outside,
            choose=self._door,
            now_ms=self.now_ms,
            mode=mode,
            quota=quota,
        )
        self.deaths = 0
        self._senders: dict[str, tuple[Process, Progress]] = {}
        self._doubts_before = self._counter()
        self._outside = Replica(
            self.outside,
            None,
            {InboundMessage: self._screen, CompletionRequest: self._complete},
        )
        self.replicas: dict[str, list[Replica]] = {}
        for service, make in self._makers().items():
            self.replicas[service] = [self._inside(make, f"{service}-{n}") for n in range(2)]

    def now_ms(self) -> int:
        return BASE_MS + int(self.loop.time() * 1000)

    # -- replicas ---------------------------------------------------------------------------

    def _makers(self) -> dict[str, Callable[[Process], Replica]]:
        return {"ingress": self._ingress, "context": self._context, "egress": self._egress}

    def _inside(self, make: Callable[[Process], Replica], name: str) -> Replica:
        async def begin() -> Replica:
            replica = make(Process(name))
            for family, hear in replica.hears:
                self.broker.catch_up(replica.process, family, hear)
            return replica

        return self.loop.run_until_complete(begin())

    def _bucket(self, process: Process, bucket: Bucket, kind: type[Any], **more: Any) -> Any:
        bus: Any = ProcessBus(self.broker, process)
        return JetStreamDocuments(bus, bucket, kind, patience=math.inf, **more)

    def _ingress(self, process: Process) -> Replica:
        ingress = Ingress(
            self.config,
            publisher=ProcessBus(self.broker, process),
            claims=self._bucket(process, CLAIMS, Claim),
            tries=self._bucket(process, CLAIMS, Tries),
            streams=OpenStreams(self._bucket(process, DISPLAYS, Display), now_ms=self.now_ms),
            room=WaitingRoom(seats=1000, now=self.loop.time),
            people=People(now_ms=self.now_ms),
        )
        return Replica(process, ingress, {}, ((OFFERS, ingress.hear),))

    def _context(self, process: Process) -> Replica:
        context = Context(
            config=self.config,
            documents=Documented(
                conversations=self._bucket(
                    process, CONVERSATIONS, Conversation, read=read_conversation
                ),
                notes=self._bucket(process, NOTES, Remembered),
                pages=self._bucket(process, PAGES, AnswerPage),
                people=self._bucket(process, PEOPLE, WithPerson),
            ),
            inbound=Order(self.broker, process),
            publish=ProcessBus(self.broker, process).publish_event,
            now_ms=self.now_ms,
            new_page_id=lambda: "page",
            shed=lambda: Shed.NOTHING,
        )
        handlers: dict[type[Event], Handler] = {
            ScreenedMessage: context.absorb,
            ScreenedSegment: context.record,
            DeliveryResult: context.settle,
            TurnTimeout: context.expire,
        }
        return Replica(process, context, handlers)

    def _egress(self, process: Process) -> Replica:
        claims = Claims(self._bucket(process, CLAIMS, Claim))
        owner, progress = f"{process.name}-{self.deaths}", Progress()
        self._senders[owner] = process, progress
        attachments = Attachments(MemoryObjects(), now_ms=self.now_ms)
        sending = Sending(
            sent=self._bucket(process, SENT, Marker),
            allowance=Allowance(self._bucket(process, QUOTA, Ledger), now_ms=self.now_ms),
            attachments=attachments,
            outages=Outages(after=self.config.delivery.outage_after),
            senders=Senders(partial(self._ask, process), now_ms=self.now_ms, patience=0.0),
            progress=progress,
            settings=self.config.delivery,
            owner=owner,
            now_ms=self.now_ms,
        )
        ways = Ways(
            channels={ACCOUNT: self._channel(Client(self.platform, process))},
            claims=claims,
            boxes=self._bucket(process, MAILBOX, Box),
            sending=sending,
            streams=Streams(
                self._bucket(process, DISPLAYS, Display), merged="", now_ms=self.now_ms
            ),
            attachments=attachments,
        )
        egress = Egress(self.config, ways, owner=owner, now_ms=self.now_ms)
        hears = ((CLAIM_RECORDS, claims.hear), (GIVEN, claims.hear_given))
        return Replica(process, egress, {Delivery: egress.deliver}, hears)

    async def _ask(self, process: Process, owner: str, delivery_id: bytes) -> bytes | None:
        """Have one replica of egress ask another; "down" is one that stands still."""
        fate, _ = await self.turnstile.passing(process, f"ask {owner}", "down")
        asked, progress = self._senders[owner]
        if asked.is_dead:
            return None
        if fate == "down":
            raise BrokerUnavailable(owner)
        return progress.answer(delivery_id)

    def _channel(self, client: Client) -> Channel:
        async def send(message: Message, to: Recipient) -> None:
            await client.send_text(to.openid, message.text, ai=message.ai)

        async def fetch(_media: Media, _limit_bytes: int) -> bytes:
            raise AssertionError("nobody sends media here")

        account, settings = self.config.accounts[0], self.config.delivery
        passive = account.mode == "passive"
        return Channel(
            traits=traits_of(account, settings), fetch=fetch, send=None if passive else send
        )

    def _chosen(self, service: str, pick: int) -> Replica:
        if service == "outside":
            return self._outside
        return self.replicas[service][pick % 2]

    def _door(self, pick: int) -> tuple[Process, Ingress]:
        replica = self._chosen("ingress", pick)
        return replica.process, replica.service

    def _handler(self, process: Process, event: Event) -> Handler:
        everyone = [self._outside, *(one for group in self.replicas.values() for one in group)]
        (replica,) = (one for one in everyone if one.process is process)
        return replica.handlers[type(event)]

    def _listeners(self) -> list[tuple[Process, str, Callable[[Raw], None]]]:
        return [
            (replica.process, family, hear)
            for group in self.replicas.values()
            for replica in group
            for family, hear in replica.hears
        ]

    # -- moderation, and a model ------------------------------------------------------------

    async def _screen(self, received: Received[InboundMessage]) -> AsyncIterator[Event]:
        message = received.event
        yield ScreenedMessage(
            id=f"scr:{message.id}:{received.sequence}",
            account=message.account,
            conv=message.conv,
            sequence=received.sequence,
            verdict=Verdict.PASS,
            message=message,
            text=message.text,
        )

    async def _complete(self, received: Received[CompletionRequest]) -> AsyncIterator[Event]:
        request = received.event
        attempt = (received.attempt - 1) * 100 + 1
        turn = request.turn_id.removeprefix(f"{ACCOUNT}.")
        marks = "".join(MARK.findall(request.prompt[-1].content))
        for number in range(self.pieces):
            yield ScreenedSegment(
                id=f"scr:rep:{request.turn_id}.{attempt}.{number}",
                account=request.account,
                conv=request.conv,
                turn_id=request.turn_id,
                number=number,
                attempt=attempt,
                text=f"{'' if number else marks}【{turn}.{number}.{attempt}】",
                final=number == self.pieces - 1,
                verdict=Verdict.PASS,
            )

    # -- what may happen --------------------------------------------------------------------

    def step(self, index: int, pick: int = 0) -> None:
        """Let one of those who wait take a step."""
        if waiting := self.turnstile.waiting:
            self._open(waiting[index % len(waiting)], "on", pick)

    def go_on(self, count: int) -> None:
        """Let those who wait take a step in the order in which they came."""
        for number in range(count):
            self.step(0, pick=number)

    def let(self, *steps: str) -> None:
        """Let these steps be taken, each by the first who waits for it."""
        for step in steps:
            gate = next(
                one for one in self.turnstile.waiting if step in f"{one.process}: {one.step}"
            )
            self._open(gate, "on", 0)

    def go_on_until(self, step: str, *, without: str = "never") -> None:
        """Let steps be taken in their order until somebody waits to take this one."""
        while not any(step in f"{one.process}: {one.step}" for one in self.turnstile.waiting):
            gate = next(one for one in self.turnstile.waiting if without not in one.step)
            self._open(gate, "on", 0)

    def go_wrong(self, index: int, fate: Fate) -> None:
        """Let one of those whose step may go wrong like that take it."""
        if at_risk := [gate for gate in self.turnstile.waiting if fate in gate.fates]:
            self._open(at_risk[index % len(at_risk)], fate, 0)

    def _open(self, gate: Gate, fate: Fate, pick: int) -> None:
        self.turnstile.open(gate, fate, pick)
        self.loop.pass_time(STEP)

    @property
    def chats(self) -> list[Chat]:
        """What the users see; most histories are told of the first."""
        return list(self.platform.chats.values())

    def write(self, user: int = 0) -> str:
        """Have a user write; returns the mark of the question."""
        chat = self.chats[user]
        self._soon(lambda: self.platform.write(chat))
        return list(chat.marks)[-1]

    def _soon(self, call: Callable[[], object]) -> None:
        self.loop.call_soon(call)
        self.loop.settle()

    def repeat(self, index: int) -> None:
        """Have an event delivered once more: its acknowledgement was lost, or is late.

        A delivery's repeat comes after `ack_wait`, which is longer than any request is held.
        """
        if self.broker.stored:
            stored = self.broker.stored[index % len(self.broker.stored)]
            after = EGRESS_READY.ack_wait if isinstance(stored.event, Delivery) else 0.0
            self._soon(lambda: self.broker.deliver(stored, after=after))

    def crash(self, index: int) -> None:
        """Kill a replica in the middle of something; another takes its place."""
        at_work = [gate for gate in self.turnstile.waiting if gate.process is not self.outside]
        if not at_work:
            return
        self.kill(at_work[index % len(at_work)].process.name)

    def kill(self, name: str) -> None:
        """Kill a replica by its name; another takes its place."""
        service, number, dying = next(
            (service, number, replica.process)
            for service, group in self.replicas.items()
            for number, replica in enumerate(group)
            if replica.process.name == name
        )
        self.deaths += 1
        self.turnstile.log.append(f"-- {dying} dies")
        dying.kill()
        self.replicas[service][number] = self._inside(
            self._makers()[service], f"{service}-{number}+{self.deaths}"
        )
        self.loop.settle()

    def pass_time(self, seconds: float) -> None:
        self.turnstile.log.append(f"-- {seconds} s pass")
        self.loop.pass_time(seconds)
        self._soon(lambda: self.broker.fire_timers(self.now_ms()))

    # -- the end ----------------------------------------------------------------------------

    def rest(self) -> None:
        """Let everything that is under way come to its end."""
        stop = self.loop.time() + LONGEST
        pick = 0
        while self.loop.time() < stop:
            while self.turnstile.waiting:
                pick += 1
                self._open(self.turnstile.waiting[0], "on", pick)
            if self._is_quiet():
                return
            self.loop.pass_time(TICK)
            self._soon(lambda: self.broker.fire_timers(self.now_ms()))
        raise AssertionError(f"it never rests: {list(map(self.conversation, self.chats))}")

    def _is_quiet(self) -> bool:
        talks = filter(None, map(self.conversation, self.chats))
        is_busy = any(talk.turn or talk.out or talk.queue or talk.early for talk in talks)
        return not (is_busy or self.broker.under_way or self.platform.under_way)

    def conversation(self, chat: Chat) -> Conversation | None:
        record = self.broker.records.get(f"$KV.{CONVERSATIONS.name}.{ACCOUNT}.{chat.conv}")
        return None if record is None else read_conversation(record.data)

    def claim(self, key: str) -> Claim:
        """Return how a message was claimed."""
        record = self.broker.records[f"{CLAIM_RECORDS}{key}"]
        return msgspec.json.decode(record.data, type=Claim)

    def mailbox(self, chat: Chat) -> str:
        """Return what is parked for a user, as it is stored."""
        record = self.broker.records.get(f"$KV.{MAILBOX.name}.{ACCOUNT}.{chat.conv}")
        return "" if record is None else record.data.decode()

    def close(self) -> None:
        everyone = [self.outside, *(r.process for group in self.replicas.values() for r in group)]
        for process in everyone:
            process.kill()
        self.loop.settle()
        self.loop.close()

    def _counter(self) -> float:
        found = REGISTRY.get_sample_value("queqiao_egress_ambiguous_total", {"policy": self.policy})
        return found or 0.0

    @property
    def doubts(self) -> int:
        """How many messages egress has counted as ambiguous."""
        return int(self._counter() - self._doubts_before)

    @property
    def may_doubt(self) -> bool:
        """Whether a sender has died, or an answer of WeChat's was lost."""
        is_gone = any(process.is_dead for process, _ in self._senders.values())
        return is_gone or self.platform.lost_answers > 0


class Order:
    """The order in which a user's messages were accepted."""

    def __init__(self, broker: Broker, process: Process) -> None:
        self._broker = broker
        self._process = process

    async def epoch(self, *, fresh: bool = False) -> str:
        return "one"

    def known(self, cursor: int, *, account: str, conv: str, upto: int) -> Chain | None:
        """Heard of at once; `chain` tells it to those who look for it."""
        between = [one for one in self._accepted(conv) if cursor < one <= upto]
        return Chain(cursor, upto, (upto,)) if between == [upto] else None

    def _accepted(self, conv: str) -> list[int]:
        return [
            one.sequence
            for one in self._broker.stored
            if isinstance(one.event, InboundMessage) and one.event.conv == conv
        ]

    async def chain(self, *, account: str, conv: str, gap: Gap) -> Chain:
        await self._broker.turnstile.passing(self._process, "read the order of messages")
        accepted = sorted(self._accepted(conv))
        sequences = tuple(one for one in accepted if gap.after < one <= gap.upto)
        verdicts = tuple(
            Arrival(screened=one.event)
            for one in self._broker.stored
            if isinstance(one.event, ScreenedMessage) and one.event.sequence in sequences
        )
        return Chain(gap.after, gap.upto, sequences, verdicts if len(sequences) > 1 else ())

    async def given_up(self, *, account: str, conv: str, gap: Gap) -> Chain:
        """Moderation always speaks here, if late."""
        return await self.chain(account=account, conv=conv, gap=gap)
