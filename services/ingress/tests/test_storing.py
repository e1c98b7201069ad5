"""When ingress says that nothing can be stored, and when it stops saying so."""

import pytest
from queqiao_common.answers import PubAck
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.testing import inbound
from queqiao_ingress.storing import QUIET, STUCK, Storing


class Stream:
    """A stream that has room, or has not."""

    connected = True

    def __init__(self):
        self.has_room = True
        self.now = 100.0
        self.storing = Storing(self, now=lambda: self.now)

    async def publish_event(self, event, *, parent=None, deadline=30.0):
        if not self.has_room:
            raise BrokerUnavailable("no room")
        return PubAck(stream="CHAT", seq=1)

    async def fail_for(self, seconds):
        self.has_room = False
        for _ in range(int(seconds) + 1):
            with pytest.raises(BrokerUnavailable):
                await self.storing.publish_event(inbound(), deadline=0.9)
            self.now += 1.0
        self.now -= 1.0


async def test_failures_one_after_the_other_are_a_mode_and_one_success_ends_it():
    """Each waits less than a second: none of them alone would ever say so."""
    stream = Stream()

    await stream.fail_for(STUCK - 1)
    assert not stream.storing.is_stuck()
    await stream.fail_for(1)
    assert stream.storing.is_stuck()

    stream.has_room = True
    assert (await stream.storing.publish_event(inbound())).seq == 1
    assert not stream.storing.is_stuck()


async def test_a_success_in_between_begins_the_count_anew():
    stream = Stream()
    await stream.fail_for(STUCK - 1)
    stream.has_room = True
    await stream.storing.publish_event(inbound())

    await stream.fail_for(STUCK - 1)

    assert not stream.storing.is_stuck()


async def test_when_nobody_tries_any_more_nothing_is_known():
    stream = Stream()
    await stream.fail_for(STUCK)

    stream.now += QUIET + 1

    assert not stream.storing.is_stuck()
    await stream.fail_for(0)
    assert not stream.storing.is_stuck()


def test_it_is_connected_as_the_bus_is():
    stream = Stream()

    assert stream.storing.connected
