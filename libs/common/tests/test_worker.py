"""The consumer loop: what the broker is told, and what happens on a real one."""

import asyncio
import contextlib
import dataclasses

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common import bus as bus_module
from queqiao_common import provision, pull
from queqiao_common.errors import BrokerUnavailable, PermanentError, TransientError
from queqiao_common.events import DeadLetter, InboundMessage, ScreenedMessage
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually, inbound, screened
from queqiao_common.topology import CHAT, DEAD, INBOUND, MODERATION_INBOUND
from queqiao_common.worker import Ack, Bury, Nak, Worker, backoff, settle


def test_success_is_acknowledged():
    assert settle(None, 1, 8) == Ack()


def test_a_permanent_error_is_buried_at_once():
    assert settle(PermanentError("no such route"), 1, 8) == Bury("no such route")


def test_an_error_that_knows_when_to_try_again_is_obeyed():
    assert settle(TransientError("429", after=7.0), 2, 8) == Nak(7.0)


def test_the_last_attempt_is_buried_with_its_reason():
    assert settle(ValueError("boom"), 8, 8) == Bury("ValueError on the last of 8 attempts: boom")


@given(st.integers(1, 1000))
def test_the_backoff_grows_and_is_bounded(attempt):
    assert 0 < backoff(attempt) <= backoff(attempt + 1) <= 30


@contextlib.asynccontextmanager
async def connected(url):
    bus = await bus_module.connect(Nats(url=url), "test")
    try:
        await provision.apply_patiently(bus)
        yield bus
    finally:
        await bus.close()


@contextlib.asynccontextmanager
async def working(bus, handler, *, consumer=MODERATION_INBOUND, patience=5.0, **options):
    worker = Worker(bus, consumer, handler, **options)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await task
        await worker.drain(patience)


async def read(bus, stream, subject):
    found, last = [], 0
    while stored := await bus.read_next(stream, subject, last):
        found.append(stored)
        last = stored.sequence
    return found


@pytest.mark.broker
async def test_what_a_handler_yields_is_published_once_however_often_it_runs(broker):
    """A failure after the publishing repeats the handler; the stream drops the repeated id."""
    runs = []

    async def screen(received):
        runs.append(received.attempt)
        yield screened(received.event, sequence=received.sequence)
        if received.attempt == 1:
            raise TransientError("lost its nerve", after=0.05)

    async with connected(broker.url) as bus, working(bus, screen):
        await bus.publish_event(inbound("你好"))
        await eventually(lambda: runs == [1, 2])

        found = await read(bus, CHAT, "chat.screened.>")

    assert len(found) == 1
    assert msgspec.json.decode(found[0].data, type=ScreenedMessage).message == inbound("你好")


@pytest.mark.broker
async def test_what_cannot_be_decoded_is_buried_with_its_body_and_others_go_on(broker):
    """One broken event must not stop the line, nor vanish."""
    handled = []

    async def screen(received):
        handled.append(received.event.text)
        return
        yield

    async with connected(broker.url) as bus, working(bus, screen):
        await bus.publish("chat.inbound.main.c_1", b'{"id": 1}', event_id="broken")
        await bus.publish_event(inbound("好的"))
        await eventually(lambda: handled)
        [letter] = await eventually(lambda: read(bus, DEAD, "dead.>"))

    dead = msgspec.json.decode(letter.data, type=DeadLetter)
    assert letter.subject == "dead.chat.inbound.main.c_1"
    assert dead.body == b'{"id": 1}'
    assert dead.reason.startswith("cannot be decoded")
    assert handled == ["好的"]


@pytest.mark.broker
async def test_whoever_waits_for_a_buried_event_is_told(broker):
    async def screen(received):
        raise PermanentError("never")
        yield

    async def tell(buried):
        yield screened(inbound(), sequence=buried.sequence)

    async with connected(broker.url) as bus, working(bus, screen, on_buried=tell):
        await bus.publish_event(inbound())
        [told] = await eventually(lambda: read(bus, CHAT, "chat.screened.>"))

    assert msgspec.json.decode(told.data, type=ScreenedMessage).sequence == 1


@pytest.mark.broker
async def test_the_letter_is_written_even_if_nobody_can_be_told(broker):
    """Else one more bug in the telling would leave the event where nobody sees it."""

    async def screen(received):
        raise PermanentError("never")
        yield

    async def tell(buried):
        raise ValueError("a bug")
        yield

    async with connected(broker.url) as bus, working(bus, screen, on_buried=tell):
        await bus.publish_event(inbound())
        [letter] = await eventually(lambda: read(bus, DEAD, "dead.>"))

    assert msgspec.json.decode(letter.data, type=DeadLetter).reason == "never"


@pytest.mark.broker
async def test_a_full_stream_is_waited_for_without_spending_attempts(broker):
    """Given back again and again, the event would be buried before there is room."""
    runs = []

    async def screen(received):
        runs.append(received.attempt)
        yield screened(received.event, sequence=received.sequence)

    quick = dataclasses.replace(MODERATION_INBOUND, ack_wait=0.6, attempts=1)
    async with connected(broker.url) as bus:
        await provision.apply_consumer(bus, quick)
        await bus.publish_event(inbound("x" * 1000))
        config = provision.stream_config(CHAT) | {"max_bytes": 1500}
        await bus.api("STREAM.UPDATE.CHAT", config)
        async with working(bus, screen, consumer=quick):
            await eventually(lambda: runs)
            for _ in range(3):  # a second each, beyond every `ack_wait`
                with contextlib.suppress(BrokerUnavailable):  # full, or merely slow
                    await bus.publish("chat.screened.probe", b"x" * 1000, deadline=1.0)
            await bus.api("STREAM.UPDATE.CHAT", config | {"max_bytes": 10**6})
            await eventually(lambda: read(bus, CHAT, "chat.screened.main.>"))

    assert runs == [1]


@pytest.mark.broker
async def test_work_goes_on_after_the_broker_was_killed(broker):
    handled = []

    async def screen(received):
        handled.append(received.event.text)
        return
        yield

    async with connected(broker.url) as bus, working(bus, screen):
        await bus.publish_event(inbound("前", msgid="m_1"))
        await eventually(lambda: handled == ["前"])
        await asyncio.to_thread(broker.restart)
        await bus.publish_event(inbound("后", msgid="m_2"))
        await eventually(lambda: "后" in handled)


@pytest.mark.broker
async def test_a_repeated_callback_is_stored_once_and_said_to_be_a_duplicate(broker):
    async with connected(broker.url) as bus:
        first = await bus.publish_event(inbound())
        again = await bus.publish_event(inbound())

        assert (again.seq, again.duplicate) == (first.seq, True)


@pytest.mark.broker
async def test_the_topology_can_be_applied_again_and_again(broker):
    async with connected(broker.url) as bus:
        assert await provision.apply(bus) == []


@pytest.mark.broker
async def test_two_replicas_share_the_work(broker):
    """Each event is handled by one of them."""
    seen = {"a": [], "b": []}

    def handler(name):
        async def screen(received):
            seen[name].append(received.sequence)
            return
            yield

        return screen

    async with connected(broker.url) as one, connected(broker.url) as two:
        async with working(one, handler("a"), slots=4), working(two, handler("b"), slots=4):
            for number in range(40):
                await one.publish_event(inbound(msgid=f"m_{number}"))
            await eventually(lambda: len(seen["a"]) + len(seen["b"]) == 40)

    assert sorted(seen["a"] + seen["b"]) == list(range(1, 41))


def test_a_subject_carries_the_account_and_the_conversation():
    assert INBOUND.of(inbound()) == f"chat.inbound.main.{inbound().conv}"
    assert isinstance(inbound(), InboundMessage)


@pytest.mark.broker
async def test_a_stop_costs_no_event_the_time_that_a_crash_does(broker, monkeypatch):
    """What is on its way to a worker that stops is given back, and not waited for."""
    monkeypatch.setattr(pull, "QUIET", 1.0)  # a busy machine keeps the broker silent for longer
    monkeypatch.setattr(pull, "LEAVE", 10.0)
    patient = dataclasses.replace(MODERATION_INBOUND, ack_wait=600.0)
    seen, count = set(), 1000
    begun = asyncio.Event()

    async def screen(received):
        seen.add(received.sequence)
        begun.set()
        return
        yield

    async with connected(broker.url) as bus:
        await provision.apply_consumer(bus, patient)
        events = (inbound("长" * 2000, msgid=f"m_{number}") for number in range(count))
        for sent in [await bus.send_event(event) for event in events]:
            await sent.stored()
        for _ in range(4):
            begun.clear()
            async with working(bus, screen, consumer=patient, slots=200):
                await begun.wait()
        async with working(bus, screen, consumer=patient):
            await eventually(lambda: len(seen) == count)


@pytest.mark.broker
async def test_what_is_not_finished_when_a_worker_ends_is_given_to_another_at_once(broker):
    patient = dataclasses.replace(MODERATION_INBOUND, ack_wait=600.0)
    begun, attempts = asyncio.Event(), []

    async def hang(_):
        begun.set()
        await asyncio.Event().wait()
        yield

    async def screen(received):
        attempts.append(received.attempt)
        return
        yield

    async with connected(broker.url) as bus:
        await provision.apply_consumer(bus, patient)
        await bus.publish_event(inbound())
        async with working(bus, hang, consumer=patient, patience=0.0):
            await begun.wait()
        async with working(bus, screen, consumer=patient):
            await eventually(lambda: attempts == [2])
