"""What only one replica knows: it says so, or is away, or is connected and says nothing."""

import contextlib
import signal
import subprocess
import sys

import pytest
from queqiao_common import bus as bus_module
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.replicas import Replicas
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually

LISTENING = """
import asyncio, sys
from queqiao_common import bus
from queqiao_common.replicas import Replicas
from queqiao_common.settings import Nats

async def main():
    replicas = Replicas(await bus.connect(Nats(url=sys.argv[1]), "other"), "egress")
    await replicas.listen("other", lambda body: b"heard " + body)
    await asyncio.Event().wait()

asyncio.run(main())
"""

pytestmark = pytest.mark.broker


@pytest.fixture
async def bus(shared_broker):
    bus = await bus_module.connect(Nats(url=shared_broker.url), "test")
    yield bus
    await bus.close()


@contextlib.contextmanager
def another(url):
    """Another process, that listens as `other`."""
    child = subprocess.Popen([sys.executable, "-c", LISTENING, url])
    try:
        yield child
    finally:
        child.kill()
        child.wait()


async def test_the_one_that_is_asked_answers(bus):
    replicas = Replicas(bus, "egress")
    await replicas.listen("one", lambda body: b"one heard " + body)
    await replicas.listen("two", lambda body: b"two heard " + body)

    assert await replicas.ask("two", b"this") == b"two heard this"
    assert await Replicas(bus, "ingress").ask("two", b"this") is None


async def test_one_that_sleeps_is_not_taken_for_one_that_was_killed(bus, shared_broker):
    replicas = Replicas(bus, "egress")

    async def answer():
        with contextlib.suppress(BrokerUnavailable):
            return await replicas.ask("other", b"this")

    with another(shared_broker.url) as child:
        assert await eventually(answer) == b"heard this"
        child.send_signal(signal.SIGSTOP)
        with pytest.raises(BrokerUnavailable):
            await replicas.ask("other", b"this")
        child.send_signal(signal.SIGCONT)
        assert await eventually(answer) == b"heard this"
        child.kill()
        child.wait()

        async def is_away():
            return await replicas.ask("other", b"this") is None

        await eventually(is_away)


async def test_a_question_to_one_that_is_away_says_nothing_of_the_topology(bus):
    told = []
    bus.when_missing(lambda: told.append(True))

    assert await Replicas(bus, "egress").ask("nobody", b"this") is None

    assert told == []
