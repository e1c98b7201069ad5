"""Whatever is given up, at whichever consumer: somebody is told, and the conversation goes on."""

import asyncio

import pytest
from queqiao_cli.dead import letters
from queqiao_common.bus import connect
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually
from queqiao_common.topology import CONSUMERS
from queqiao_testbed import brokers
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

pytestmark = pytest.mark.broker

APOLOGY = "没能答上来"
UNFETCHED = "这条内容没有收好"
PICTURE = {"kind": "image"}
OPTIONS = Options(
    settings={"moderation": {"messages_per_minute": 0}, "context": {"turn_timeout": 120}},
    model={"vision": True},
)
SERVICE = {consumer.name: consumer.service for consumer in CONSUMERS}


@pytest.fixture(scope="module")
def burying_broker(tmp_path_factory):
    yield from brokers.started(brokers.make_broker(tmp_path_factory.mktemp("burying-broker")))


@pytest.fixture(scope="module")
async def system(burying_broker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("burying")
    async with running(folder, broker_url=burying_broker.url, options=OPTIONS) as system:
        yield system


@pytest.fixture
async def bus(burying_broker):
    bus = await connect(Nats(url=burying_broker.url), "test")
    yield bus
    await bus.close()


@pytest.mark.parametrize(
    ("consumer", "fields", "reads"),
    [
        ("moderation-inbound", {}, APOLOGY),
        ("moderation-drafts", {}, APOLOGY),
        ("moderation-media", PICTURE, APOLOGY),
        ("egress-media", PICTURE, UNFETCHED),
        ("egress-ready", {}, ""),  # what cannot be delivered cannot be apologised for either
        ("llm-requests", {}, APOLOGY),
        ("context-screened", {}, APOLOGY),
        ("context-segments", {}, APOLOGY),
        ("context-delivered", {}, "头一句"),
    ],
)
async def test_whoever_waits_for_an_event_that_is_given_up_is_told(
    system, burying_broker, bus, answered, variant, consumer, fields, reads
):
    """Long before the turn's deadline (two minutes here), and what is written next is answered."""
    service, user = SERVICE[consumer], f"b-{consumer}"
    healthy = system.replica(service)
    await asyncio.to_thread(healthy.stop)
    failing = variant(system, burying_broker.url, service, "failing.py", service, consumer)
    system.children[service][0] = failing
    failing.start()
    await system.ready()
    await system.say("active", user, "" if fields else "头一句", **fields)

    async def letter():
        found = [one.letter async for one in letters(bus)]
        return next((one for one in found if one.consumer == consumer), None)

    found = await eventually(letter, within=30.0)
    if reads:
        await answered(system, "active", user, reads)
    await asyncio.to_thread(failing.stop)
    system.children[service][0] = healthy
    healthy.start()
    await system.ready()

    await system.say("active", user, "还在吗")
    await answered(system, "active", user, "还在吗")

    assert found.reason == "ArithmeticError on the last of 2 attempts: it always fails"
    assert len(await system.replies("active", user)) == (2 if reads else 1)
