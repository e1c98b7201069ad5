"""Whole replicas, real sockets, a real broker: what no fake can show."""

import asyncio
import itertools
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import structs
from prometheus_client import REGISTRY
from queqiao_common.bus import connect
from queqiao_common.claims import Claim, Tries, claim_key, tries_key
from queqiao_common.events import InboundMessage, PassiveOffer, WindowMissed
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.settings import Nats
from queqiao_common.testing import CONV, eventually
from queqiao_common.topology import CHAT, CLAIMS, INBOUND, MISSED, PASSIVE
from queqiao_ingress import service
from queqiao_ingress.doors import open_doors

from services.ingress.tests import wechat

pytestmark = pytest.mark.broker

PATH = "/wechat/main"
SHORT, LONG = 0.2, 4.5
PATIENCE = 0.8  # seconds; WeChat's are 5
numbers = itertools.count(1)


class Message:
    """One message of a user, delivered as often as a test likes."""

    def __init__(self) -> None:
        self.body = wechat.text("问题", msgid=str(next(numbers)))
        door = open_doors(wechat.config())["main"]
        self.msgid = str(door.admit(wechat.signed(), self.body, received_ms=0).facts["msgid"])

    async def deliver(self, replica, **options) -> httpx.Response:
        return await replica.post(PATH, params=wechat.signed(), content=self.body, **options)

    async def deliver_in_vain(self, replica) -> None:
        """Deliver, and hang up when no answer comes: as WeChat does after 5 s."""
        before = waiting()
        with pytest.raises(httpx.ReadTimeout):
            await self.deliver(replica, timeout=PATIENCE)
        await eventually(lambda: waiting() == before)

    async def deliver_until(self, replica, happened) -> None:
        """Deliver, and hang up as soon as something has happened."""
        task = asyncio.create_task(self.deliver(replica, timeout=60))
        await eventually(happened)
        task.cancel()
        await asyncio.wait([task])

    def offer(self, text="答案", *, items=("d.1",), now=True) -> PassiveOffer:
        return PassiveOffer(
            id=f"offer:{self.msgid}:{next(numbers)}",
            account="main",
            conv=CONV,
            msgid=self.msgid,
            text=text,
            items=items,
            now=now,
        )


class Egress:
    """The other end of the claims: offers, looks, decides."""

    def __init__(self, bus) -> None:
        self.bus = bus
        self.claims = JetStreamDocuments(bus, CLAIMS, Claim)
        self.tries = JetStreamDocuments(bus, CLAIMS, Tries)

    async def offer(self, message: Message, *arguments, **fields) -> None:
        await self.bus.publish_event(message.offer(*arguments, **fields))

    async def claim(self, message: Message) -> Claim | None:
        return (await self.claims.get(claim_key("main", message.msgid))).value

    async def tries_of(self, message: Message) -> Tries | None:
        return (await self.tries.get(tries_key("main", message.msgid))).value

    async def stored(self, stream, subject, kind, message: Message) -> list[Any]:
        """Everything a stream holds about a message."""
        found, after = [], 0
        while (one := await self.bus.read_next(stream, subject.filter, after)) is not None:
            event, after = msgspec.json.decode(one.data, type=kind), one.sequence
            found += [event] if event.msgid == message.msgid else []
        return found


@pytest.fixture
async def egress(broker):
    bus = await connect(Nats(url=broker.url), "egress")
    yield Egress(bus)
    await bus.close()


@pytest.fixture
def replicas(broker, start_replica, monkeypatch):
    """Start replicas of an ingress that serves one account; a slow broker is waited for."""
    monkeypatch.setattr(service, "CLAIM_TIMEOUT", 4.0)

    async def start(count=1, **account) -> list[httpx.AsyncClient]:
        settings = wechat.config(wechat.account(**account), publish_timeout=4.0)
        return [
            await start_replica(lambda nats: structs.replace(settings, nats=nats), broker.url)
            for _ in range(count)
        ]

    return start


async def hold(message: Message, replica) -> asyncio.Task[httpx.Response]:
    """Have a delivery wait."""
    before = waiting()
    task = asyncio.create_task(message.deliver(replica))
    await eventually(lambda: waiting() > before)
    return task


def waiting() -> float:
    """How many requests are held by the replicas of this process."""
    return REGISTRY.get_sample_value("queqiao_ingress_waiting") or 0.0


async def test_a_message_is_stored_once_however_often_it_is_delivered(replicas, egress):
    first, second = await replicas(2, delivery="active")
    message = Message()

    answers = await asyncio.gather(*(message.deliver(one) for one in (first, second) * 3))

    assert [answer.content for answer in answers] == [b"success"] * 6
    assert len(await egress.stored(CHAT, INBOUND, InboundMessage, message)) == 1


async def test_an_offer_reaches_the_request_wherever_it_waits(replicas, egress):
    first, second = await replicas(2, delivery="auto", passive_window=LONG)
    message = Message()
    held = [await hold(message, one) for one in (first, second)]

    await egress.offer(message, "答案")

    assert [wechat.said((await one).content) for one in held] == ["答案", "答案"]
    assert await egress.claim(message) == Claim(kind="reply", answer="答案", items=("d.1",))


async def test_the_next_delivery_may_come_to_another_replica(replicas, egress):
    first, second = await replicas(2, delivery="passive", passive_window=LONG)
    message = Message()
    await message.deliver_in_vain(first)
    held = await hold(message, second)

    await egress.offer(message, "答案")

    assert wechat.said((await held).content) == "答案"


async def test_an_offer_waits_at_every_replica_for_the_next_delivery(replicas, egress):
    first, second = await replicas(2, delivery="passive", passive_window=LONG)
    message, sign = Message(), Message()
    await message.deliver_in_vain(first)

    await egress.offer(message, "答案")
    await egress.offer(sign, "到")
    # Offers keep their order: who hears the sign has heard the offer.
    assert wechat.said((await sign.deliver(second)).content) == "到"

    assert wechat.said((await message.deliver(second)).content) == "答案"
    assert wechat.said((await message.deliver(first)).content) == "答案"


async def test_three_deliveries_are_counted_across_replicas(replicas, egress):
    first, second = await replicas(2, delivery="passive", passive_window=SHORT)
    message = Message()
    await message.deliver_until(
        first, lambda: egress.stored(CHAT, INBOUND, InboundMessage, message)
    )
    await message.deliver_until(second, lambda: egress.tries_of(message))

    third = await message.deliver(first)
    again = await message.deliver(second)

    assert wechat.said(third.content).startswith("我还在想")
    assert wechat.said(again.content) == wechat.said(third.content)
    claim = await egress.claim(message)
    assert claim is not None
    assert claim.kind == "thinking"
    assert await egress.tries_of(message) == Tries(count=2)


async def test_only_one_reply_is_given_when_two_are_offered(replicas, egress):
    """Egress repeats its offers, and the answer may have grown meanwhile."""
    first, second = await replicas(2, delivery="auto", passive_window=LONG)
    message = Message()
    held = [await hold(message, one) for one in (first, second)]

    await asyncio.gather(
        *(egress.offer(message, text, items=(text,)) for text in ("甲", "乙", "丙"))
    )

    texts = {wechat.said((await one).content) for one in held}
    claim = await egress.claim(message)
    assert claim is not None
    assert texts == {claim.answer} == set(claim.items)


async def test_a_message_that_the_api_has_taken_is_not_answered_twice(replicas, egress):
    [replica] = await replicas(delivery="auto", passive_window=LONG)
    message = Message()
    held = await hold(message, replica)
    assert await egress.claims.create(claim_key("main", message.msgid), Claim(kind="later"))

    await egress.offer(message, "答案")

    assert (await held).content == b"success"


async def test_a_window_that_ends_is_announced_to_egress(replicas, egress):
    [replica] = await replicas(delivery="auto", passive_window=SHORT)
    message = Message()

    answer = await message.deliver(replica)

    assert answer.content == b"success"
    assert await egress.claim(message) == Claim(kind="later")
    assert await eventually(lambda: egress.stored(PASSIVE, MISSED, WindowMissed, message))


async def test_a_client_that_hangs_up_is_noticed(replicas):
    """Else every slow answer would cost a seat for the rest of its window."""
    [replica] = await replicas(delivery="auto", passive_window=LONG)

    await Message().deliver_in_vain(replica)

    assert waiting() == 0


async def test_without_its_broker_ingress_asks_wechat_to_come_again(own_broker, start_replica):
    """Nothing that got `success` may be lost: it is not said before the broker has stored."""
    settings = wechat.config(wechat.account(delivery="active"))
    replica = await start_replica(lambda nats: structs.replace(settings, nats=nats), own_broker.url)
    message = Message()
    assert (await Message().deliver(replica)).content == b"success"

    own_broker.kill()
    refused = await message.deliver(replica, timeout=5)
    unready = await replica.get("/readyz")
    own_broker.start()

    async def accepted() -> bool:
        return (await message.deliver(replica)).content == b"success"

    assert (refused.status_code, refused.content) == (503, b"")
    assert unready.status_code == 503
    await eventually(accepted)
