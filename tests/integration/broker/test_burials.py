"""Whatever is given up, at whichever consumer: somebody is told, and the conversation goes on."""

import asyncio
import contextlib

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
VOICE = {"kind": "voice"}
OPTIONS = Options(
    settings={"moderation": {"messages_per_minute": 0}, "context": {"turn_timeout": 120}},
    model={"vision": True},
)
REASON = "ArithmeticError on the last of 2 attempts: it always fails"
SERVICE = {consumer.name: consumer.service for consumer in CONSUMERS}


@pytest.fixture(scope="module")
def burying_broker(tmp_path_factory):
    yield from brokers.started(brokers.make_broker(tmp_path_factory.mktemp("burying-broker")))


@pytest.fixture(scope="module")
async def system(burying_broker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("burying")
    async with running(folder, broker_url=burying_broker.url, options=OPTIONS) as system:
        yield system


@contextlib.asynccontextmanager
async def connected(url):
    bus = await connect(Nats(url=url), "test")
    yield bus
    await bus.close()


@pytest.fixture
async def bus(burying_broker):
    async with connected(burying_broker.url) as bus:
        yield bus


@contextlib.asynccontextmanager
async def in_the_place_of(system, service, failing):
    """Let a replica that fails do a service's work for a while."""
    healthy = system.replica(service)
    await asyncio.to_thread(healthy.stop)
    system.children[service][0] = failing
    failing.start()
    await system.ready()
    yield
    await asyncio.to_thread(failing.stop)
    system.children[service][0] = healthy
    healthy.start()
    await system.ready()


async def letter(bus, consumer):
    """Wait for the dead letter of a consumer."""

    async def found():
        all_of_them = [one.letter async for one in letters(bus)]
        return next((one for one in all_of_them if one.consumer == consumer), None)

    return await eventually(found, within=60.0)


@pytest.mark.parametrize(
    ("consumer", "fields", "reads"),
    [
        ("moderation-inbound", {}, APOLOGY),
        ("moderation-drafts", {}, APOLOGY),
        ("moderation-media", PICTURE, APOLOGY),
        ("egress-media", PICTURE, UNFETCHED),
        ("llm-media", VOICE, UNFETCHED),
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
    failing = variant(system, burying_broker.url, service, "failing.py", service, consumer)
    async with in_the_place_of(system, service, failing):
        await system.say("active", user, "" if fields else "头一句", **fields)
        found = await letter(bus, consumer)
        if reads:
            await answered(system, "active", user, reads)

    await system.say("active", user, "还在吗")
    await answered(system, "active", user, "还在吗")

    assert found.reason == REASON
    assert len(await system.replies("active", user)) == (2 if reads else 1)


async def test_a_deadline_that_is_given_up_is_told_once_more(
    own_broker, tmp_path, answered, variant
):
    """No model answers, and what ends the turn cannot be handled: the apology comes."""
    url, consumer = own_broker.url, "context-timeouts"
    options = Options(settings={"context": {"turn_timeout": 6.0}})
    async with (
        running(tmp_path, broker_url=url, options=options) as system,
        connected(url) as bus,
        in_the_place_of(
            system, "context", variant(system, url, "context", "failing.py", "context", consumer)
        ),
    ):
        system.replica("llm").stop()
        await system.say("active", "d1", "没人回答")
        found = await letter(bus, consumer)
        await answered(system, "active", "d1", APOLOGY)
        system.replica("llm").start()

    assert found.reason == REASON


async def test_a_summary_that_is_given_up_stops_nobody(own_broker, tmp_path, answered, variant):
    """It is taken for one that was not made, and the conversation goes on."""
    url, consumer = own_broker.url, "context-summaries"
    options = Options(
        settings={
            "moderation": {"messages_per_minute": 0},
            "context": {"max_messages": 2},
            "notes": {"enabled": True, "summary_after": 2},
        }
    )
    failing = "failing.py", "context", consumer
    async with (
        running(tmp_path, broker_url=url, options=options) as system,
        connected(url) as bus,
        in_the_place_of(system, "context", variant(system, url, "context", *failing)),
    ):
        for number in range(3):
            await system.say("active", "s1", f"第{number}问")
            await answered(system, "active", "s1", f"第{number}问")
        found = await letter(bus, consumer)
        await system.say("active", "s1", "还在吗")
        await answered(system, "active", "s1", "还在吗")

    assert found.reason == REASON
