"""An event that ends every process which handles it still ends: buried, and its user told."""

import pytest
from queqiao_cli.dead import letters
from queqiao_common.events import InboundMessage
from queqiao_common.testing import eventually
from queqiao_common.topology import DEAD, GIVEN_UP, SUBJECT_OF
from queqiao_testbed.system import running

from tests.integration.broker.deadly import QUICK

pytestmark = pytest.mark.broker

APOLOGY = "没能答上来"


async def buried(bus):
    return [one.letter async for one in letters(bus)]


async def test_an_event_that_kills_its_worker_each_time_is_buried_and_its_user_told(
    own_broker, bus, tmp_path, answered, variant, kept_alive
):
    """Memory that runs out, a library that crashes: without this it would go on for ever."""
    async with running(tmp_path, broker_url=own_broker.url) as system:
        system.replica("moderation").stop()
        deadly = variant(system, own_broker.url, "moderation", "deadly.py")
        async with kept_alive(deadly):
            await system.say("active", "d1", "致命的一句")
            await answered(system, "active", "d1", APOLOGY, within=150)

        [letter] = await eventually(lambda: buried(bus))
        assert letter.consumer == "moderation-inbound"
        assert letter.attempts > QUICK.attempts
        assert "again and again" in letter.reason

        system.replica("moderation").start()
        await system.say("active", "d1", "还在吗")
        await answered(system, "active", "d1", "还在吗")


@pytest.mark.slow
async def test_what_the_broker_itself_gave_up_is_buried_and_its_user_told(
    own_broker, bus, tmp_path, answered, variant, kept_alive
):
    """Even the burying kills: the broker stops delivering, and only an advisory says so."""
    async with running(tmp_path, broker_url=own_broker.url) as system:
        system.replica("moderation").stop()
        deadly = variant(system, own_broker.url, "moderation", "deadly.py", "burying")
        async with kept_alive(deadly):
            await system.say("active", "d2", "致命的一句")
            await eventually(lambda: bus.read_next(DEAD, GIVEN_UP.filter, 0), within=240)
        system.replica("moderation").start()

        await answered(system, "active", "d2", APOLOGY, within=60)
        [letter] = await eventually(lambda: buried(bus))

    assert letter.reason == "not acknowledged once in 5 deliveries"
    assert letter.subject.startswith(SUBJECT_OF[InboundMessage].template)
    assert "致命的一句".encode() in letter.body
    assert "traceparent" in letter.headers
