"""A replica that stands still in the middle of a call wakes up, and has done no harm."""

import asyncio

import pytest
from queqiao_common import bus as bus_module
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
from queqiao_testbed.faults import SEND
from queqiao_testbed.journal import backlog
from queqiao_testbed.judging import settled
from queqiao_testbed.ledger import mark
from queqiao_testbed.system import running

SLOW_ANSWER = {"kind": "delay_after", "path": SEND, "seconds": 3.0, "count": 1}
"""WeChat shows the message at once and says so late: so egress stops in the middle of its call."""


async def nothing_left(url):
    """Wait until no event waits for anybody."""
    bus = await bus_module.connect(Nats(url=url), "pauses")
    try:

        async def is_done():
            return not await backlog(bus)

        await eventually(is_done, within=60.0)
    finally:
        await bus.close()


@pytest.mark.slow
async def test_a_sender_that_stands_still_is_waited_for_and_asked(own_broker, tmp_path):
    """Another replica is given its event again, and does not say a second time what was read."""
    options = Options(settings={"moderation": {"messages_per_minute": 0}})
    async with running(tmp_path, broker_url=own_broker.url, replicas=2, options=options) as system:
        sender, other = (system.replica("egress", number) for number in (0, 1))
        await asyncio.to_thread(other.kill)
        await system.control("PUT", "/faults", json=[SLOW_ANSWER])
        one = mark("frozen", 1)
        await system.say("active", "frozen", f"{one} 在吗")
        await eventually(lambda: system.replies("active", "frozen"), within=30.0)
        sender.pause()
        try:
            other.start()
            await eventually(lambda: "its sender says nothing" in system.logs(), within=60.0)
        finally:
            sender.resume()

        await nothing_left(own_broker.url)
        result = await settled(system, "active", {"frozen": [one]})
        assert not result.lost, str(result)
        assert not result.doubled, str(result)
        assert "delivery.ambiguous" not in system.logs()
