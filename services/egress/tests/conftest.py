"""A service with everything around it faked: the clock, the buckets, WeChat, the open requests."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from queqiao_common.claims import Claim, claim_key
from queqiao_common.displays import Display
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.events import (
    Delivery,
    DeliveryResult,
    Event,
    PassiveOffer,
    ReplyGiven,
    encode,
)
from queqiao_common.settings import Account, Config, Pages, Secret
from queqiao_common.settings import Delivery as Settings
from queqiao_common.settings import Handover as HandoverSettings
from queqiao_common.testing import ACCOUNT, NOW_MS, MemoryDocuments, MemoryObjects, received
from queqiao_egress.allowance import Allowance
from queqiao_egress.attaching import Attachments
from queqiao_egress.channels.official import Official, PassiveOnly
from queqiao_egress.mailbox import Box
from queqiao_egress.offers import Claims
from queqiao_egress.outages import Outages
from queqiao_egress.progress import Progress
from queqiao_egress.quota import Ledger
from queqiao_egress.senders import Senders
from queqiao_egress.sending import Sending
from queqiao_egress.sent import Marker
from queqiao_egress.service import Egress, Ways
from queqiao_egress.streaming import Streams


class FakeWeChat:
    """Accepts messages; `answers` are raised, or awaited, one a call, before that."""

    def __init__(self):
        self.api = None
        self.shown = []
        self.bodies = []
        self.answers = []
        self.typed = []

    async def send_text(self, openid, text, *, ai):
        await self._answer()
        self.shown.append((text, ai))

    async def send(self, openid, body, *, ai):
        await self._answer()
        self.bodies.append(body)

    async def _answer(self):
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            await answer()

    async def typing(self, openid):
        if self.answers:
            raise self.answers.pop(0)
        self.typed.append(openid)


class Process:
    """One egress process; several may share a `World`."""

    def __init__(self, world, owner, patience=0.0):
        self.claims = Claims(world.claims, until=self.until)
        self.world = world
        self.owner = owner
        self.progress = Progress()
        self.is_frozen = False
        self.senders = Senders(world.ask, now_ms=self.clock, sleep=world.sleep, patience=patience)
        world.processes.append(self)
        config = world.config()
        attachments = Attachments(world.objects, now_ms=self.clock)
        sending = Sending(
            sent=world.sent,
            allowance=Allowance(world.ledgers, now_ms=self.clock),
            attachments=attachments,
            outages=world.outages,
            senders=self.senders,
            progress=self.progress,
            settings=world.settings,
            owner=owner,
            now_ms=self.clock,
        )
        ways = Ways(
            channels={ACCOUNT: world.channel()},
            claims=self.claims,
            boxes=world.boxes,
            sending=sending,
            streams=Streams(world.displays, merged=world.settings.merged, now_ms=self.clock),
            attachments=attachments,
        )
        self.egress = Egress(config, ways, owner=owner, now_ms=self.clock)

    def clock(self):
        return self.world.now_ms

    async def until(self, future, seconds):
        """Wait in no time: what happens, happens at once, or the clock goes on."""
        await asyncio.sleep(0)
        if not future.done():
            self.world.now_ms += int(seconds * 1000)


class World:
    """What outlives a process, and the user's open requests.

    `takes` says whether they take what they are offered, `gives` whether their answers get out.
    """

    def __init__(
        self, *, mode="auto", kind="service", settings=None, pages=None, takes=True, gives=True,
        channel=None, handover=None,
    ):  # fmt: skip
        self.settings = settings or Settings()
        self.pages = pages or Pages()
        self.handover = handover or HandoverSettings()
        self.account = Account(
            id=ACCOUNT,
            kind=kind,
            appid="wx1",
            token=Secret("t"),
            delivery="" if mode == "stream" else mode,
        )
        self.make_channel = channel
        self.uploads: list[tuple[str, bytes]] = []
        self.upload_answers: list[object] = []
        self.outages = Outages(after=self.settings.outage_after)
        self.objects = MemoryObjects()
        self.displays: MemoryDocuments[Display] = MemoryDocuments()
        self.claims: MemoryDocuments[Claim] = MemoryDocuments()
        self.boxes: MemoryDocuments[Box] = MemoryDocuments()
        self.sent: MemoryDocuments[Marker] = MemoryDocuments()
        self.ledgers: MemoryDocuments[Ledger] = MemoryDocuments()
        self.wechat = FakeWeChat()
        self.now_ms = NOW_MS + 1000
        self.is_silent = False
        self.takes = takes
        self.gives = gives
        self.processes: list[Process] = []
        self.offers: list[PassiveOffer] = []
        self.answered: list[str] = []
        self.first = Process(self, "one")

    def config(self):
        return Config(
            accounts=(self.account,),
            delivery=self.settings,
            pages=self.pages,
            handover=self.handover,
        )

    def channel(self):
        """The channel of the account, with the fake WeChat behind it."""
        if self.make_channel is not None:
            return self.make_channel(self)
        if self.account.mode == "passive":
            return PassiveOnly(self.account, None, None).channel()
        official = Official(self.account, self.wechat, None, self.settings).channel()
        return replace(official, upload=self.upload)

    async def upload(self, attachment, body):
        answer = self.upload_answers.pop(0) if self.upload_answers else None
        if isinstance(answer, BaseException):
            raise answer
        self.uploads.append((attachment.kind, body))
        return f"media-{len(self.uploads)}"

    def another(self, owner="two", *, patience=0.0):
        return Process(self, owner, patience)

    async def sleep(self, seconds):
        self.now_ms += round(seconds * 1000)

    def kill(self, process):
        """Its connection is closed; what it knew is gone."""
        self.processes.remove(process)

    async def ask(self, owner, body):
        """Ask a process as `Replicas` does."""
        if self.is_silent:
            raise BrokerUnavailable("nothing heard")
        for process in self.processes:
            if process.owner == owner and process.is_frozen:
                raise BrokerUnavailable("nothing heard")
            if process.owner == owner:
                return process.progress.answer(body)
        return None

    async def deliver(self, delivery: Delivery, *, attempt=1, process=None) -> DeliveryResult:
        """Handle a delivery to its end, as ingress and the worker would see it."""
        process = process or self.first
        events = process.egress.deliver(received(delivery, attempt=attempt))
        return await self._watched(events)

    async def _watched(self, events: AsyncIterator[Event]) -> DeliveryResult:
        results = []
        async for event in events:
            if isinstance(event, PassiveOffer):
                await self._offered(event)
            else:
                results.append(event)
        [result] = results
        assert isinstance(result, DeliveryResult)
        return result

    async def _offered(self, offer: PassiveOffer) -> None:
        self.offers.append(offer)
        if self.takes and offer.now:
            await self.claim(offer.msgid, Claim(kind="reply", answer=offer.text, items=offer.items))

    async def end_window(self, msgid: str, *, mode: str) -> Claim:
        """Do as ingress does when a message's last window ends."""
        fallback = next((one for one in reversed(self.offers) if one.msgid == msgid), None)
        if mode == "auto":
            claim = Claim(kind="later")
        elif fallback is None:
            claim = Claim(kind="thinking", answer=self.settings.thinking)
        else:
            claim = Claim(kind="thinking", answer=fallback.text, items=fallback.items)
        await self.claim(msgid, claim)
        return claim

    async def claim(self, msgid: str, claim: Claim) -> bool:
        key = claim_key(ACCOUNT, msgid)
        won = await self.claims.create(key, claim)
        if won and claim.answer:
            self.answered.append(claim.answer)
        for process in self.processes if self.gives else ():
            given = ReplyGiven(id=f"given:{msgid}", account=ACCOUNT, msgid=msgid)
            process.claims.hear_given(SimpleNamespace(subject="", data=encode(given)))
        return won


@pytest.fixture(scope="session")
def world():
    """The kind of world itself: a test makes as many as it needs."""
    return World


@pytest.fixture
def auto():
    return World(mode="auto")


@pytest.fixture
def active():
    return World(mode="active")


@pytest.fixture
def passive():
    return World(mode="passive")
