"""What the broker itself gave up is buried like what the worker gave up."""

import asyncio
import contextlib
from dataclasses import replace

import msgspec
import pytest
from queqiao_common import bus as bus_module
from queqiao_common import provision
from queqiao_common.events import DeadLetter, GivenUp, ScreenedMessage
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually, inbound, received, screened
from queqiao_common.topology import (
    CHAT,
    CONSUMERS,
    DEAD,
    GIVEN_UP,
    MODERATION_INBOUND,
    UNDERTAKERS,
)
from queqiao_common.undertaker import Undertaker
from queqiao_common.worker import Worker

QUICK = replace(MODERATION_INBOUND, ack_wait=0.2, attempts=1)
[UNDERTAKER] = [one for one in UNDERTAKERS if one.service == "moderation"]


def test_every_service_that_consumes_has_an_undertaker():
    assert {one.service for one in UNDERTAKERS} == {one.service for one in CONSUMERS}


async def handle(_):
    return
    yield


async def tell(buried):
    yield screened(inbound(), sequence=buried.sequence)


@pytest.fixture
async def bus(broker):
    bus = await bus_module.connect(Nats(url=broker.url), "test")
    await provision.apply_patiently(bus)
    await provision.apply_consumer(bus, QUICK)
    yield bus
    await bus.close()


@contextlib.asynccontextmanager
async def burying(bus):
    worker = Worker(bus, QUICK, handle, on_buried=tell)
    undertaker = Undertaker(bus, {QUICK.name: worker})
    watching = Worker(bus, UNDERTAKER, undertaker.bury)
    task = asyncio.create_task(watching.run())
    yield
    watching.stop()
    await task


async def pull_and_forget(bus):
    """Take deliveries as a process does that dies of each; until the broker gives up."""
    inbox = bus.new_inbox()
    stop = await bus.subscribe(inbox, lambda _: None)
    subject = f"$JS.API.CONSUMER.MSG.NEXT.CHAT.{QUICK.name}"

    async def given_up():
        await bus.tell(subject, b'{"batch": 1, "no_wait": true}', reply=inbox)
        return await bus.read_next(DEAD, GIVEN_UP.filter, 0)

    await eventually(given_up, every=0.1)
    await stop()


@pytest.mark.broker
async def test_it_becomes_a_dead_letter_with_its_body_and_its_trace_and_the_turn_is_told(bus):
    await bus.publish_event(
        inbound("说了什么"), parent={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    )
    await pull_and_forget(bus)

    async with burying(bus):
        stored = await eventually(lambda: bus.read_next(DEAD, "dead.>", 0))
        told = await eventually(lambda: bus.read_next(CHAT, "chat.screened.>", 0))

    letter = msgspec.json.decode(stored.data, type=DeadLetter)
    assert letter.id == f"dead:{QUICK.name}:1"
    assert letter.reason == "not acknowledged once in 4 deliveries"
    assert "说了什么".encode() in letter.body
    assert letter.headers["Nats-Msg-Id"] == inbound().id
    assert msgspec.json.decode(told.data, type=ScreenedMessage).sequence == 1
    assert stored.headers["traceparent"].split("-")[1] == "a" * 32


@pytest.mark.broker
async def test_what_is_no_longer_stored_is_a_letter_all_the_same(bus):
    """Somebody was not answered, and an operator must be able to see that."""
    await bus.publish_event(inbound())
    await pull_and_forget(bus)
    await bus.api("STREAM.PURGE.CHAT")

    async with burying(bus):
        stored = await eventually(lambda: bus.read_next(DEAD, "dead.>", 0))

    letter = msgspec.json.decode(stored.data, type=DeadLetter)
    assert "CHAT 1 of moderation-inbound: given up by the broker, and no longer" in letter.reason


async def test_advisories_on_other_services_are_left_to_them():
    notice = GivenUp(id="a", stream="LLM", consumer="llm-requests", stream_seq=1, deliveries=8)
    undertaker = Undertaker(None, {})  # type: ignore[arg-type]  # it must not ask the broker

    assert [item async for item in undertaker.bury(received(notice))] == []
