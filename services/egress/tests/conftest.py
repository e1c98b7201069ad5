"""A service with everything around it faked: the clock, the buckets, WeChat, the open requests."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from queqiao_common.claims import Claim, claim_key
from queqiao_common.events import Delivery, DeliveryResult, Event, PassiveOffer
from queqiao_common.settings import Account, Config, Secret
from queqiao_common.settings import Delivery as Settings
from queqiao_common.testing import ACCOUNT, NOW_MS, MemoryDocuments, received
from queqiao_egress.mailbox import Box
from queqiao_egress.offers import Claims
from queqiao_egress.quota import Ledger
from queqiao_egress.sending import Sending
from queqiao_egress.sent import Marker
from queqiao_egress.service import Egress


class FakeWeChat:
    """Accepts messages; `answers` are raised, or awaited, one a call, before that."""

    def __init__(self):
        self.shown = []
        self.answers = []
        self.typed = []

    async def send_text(self, openid, text, *, ai):
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            await answer()
        self.shown.append((text, ai))

    async def typing(self, openid):
        if self.answers:
            raise self.answers.pop(0)
        self.typed.append(openid)


class Process:
    """One egress process; several may share a `World`."""

    def __init__(self, world, owner):
        self.claims = Claims(world.claims, until=self.until)
        self.world = world
        world.processes.append(self)
        config = Config(accounts=(world.account,), delivery=world.settings)
        clients = {ACCOUNT: world.wechat}
        sending = Sending(
            clients=clients,
            sent=world.sent,
            ledgers=world.ledgers,
            settings=world.settings,
            owner=owner,
            now_ms=lambda: world.now_ms,
        )
        self.egress = Egress(
            config,
            claims=self.claims,
            boxes=world.boxes,
            sending=sending,
            clients=clients,
            owner=owner,
            now_ms=lambda: world.now_ms,
        )

    async def until(self, future, seconds):
        """Wait in no time: what happens, happens at once, or the clock goes on."""
        await asyncio.sleep(0)
        if not future.done():
            self.world.now_ms += int(seconds * 1000)


class World:
    """What outlives a process, and the user's open requests.

    `takes` says whether they take what they are offered, `gives` whether their answers get out.
    """

    def __init__(self, *, mode="auto", settings=None, takes=True, gives=True):
        self.settings = settings or Settings()
        self.account = Account(id=ACCOUNT, appid="wx1", token=Secret("t"), delivery=mode)
        self.claims: MemoryDocuments[Claim] = MemoryDocuments()
        self.boxes: MemoryDocuments[Box] = MemoryDocuments()
        self.sent: MemoryDocuments[Marker] = MemoryDocuments()
        self.ledgers: MemoryDocuments[Ledger] = MemoryDocuments()
        self.wechat = FakeWeChat()
        self.now_ms = NOW_MS + 1000
        self.takes = takes
        self.gives = gives
        self.processes: list[Process] = []
        self.offers: list[PassiveOffer] = []
        self.answered: list[str] = []
        self.first = Process(self, "one")

    def another(self, owner="two"):
        return Process(self, owner)

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
            process.claims.note_given(key)
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
