"""A publication repeats itself until the broker has it, whoever waits for it, or nobody."""

import asyncio
import math
from types import SimpleNamespace

import pytest
from queqiao_common.answers import Refused, WrongRevision
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.publication import Publication

ACK = b'{"stream": "S", "seq": 7}'
GONE = BrokerUnavailable("s.x: TimeoutError")


def raw(body):
    return SimpleNamespace(subject="", reply="", data=body, headers=None)


class Broker:
    """Answers repeats from a list; a test may wait until they are used up."""

    def __init__(self, *answers):
        self.loop = asyncio.get_running_loop()
        self.stalled = 0
        self.answers = list(answers)
        self.tasks = []

    async def request(self, subject, body, *, headers, timeout):
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return raw(found)

    def busy_with(self, work):
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]


def publication(broker, *, deadline=math.inf, told=None):
    return Publication(broker, "s.x", b"{}", None, deadline, told)


async def test_what_is_stored_at_once_costs_no_task():
    broker = Broker()
    sent = publication(broker)

    sent.hear(raw(ACK))

    assert (await sent.stored()).seq == 7
    assert not broker.tasks


async def test_what_was_not_heard_of_is_repeated_even_while_nobody_waits():
    """The first paragraph of an answer must not wait until the last is written."""
    told = []
    broker = Broker(GONE, ACK)
    sent = publication(broker, told=told.append)

    sent.hear(GONE)
    await asyncio.gather(*broker.tasks)

    assert told == [None]
    assert (await sent.stored()).seq == 7


async def test_who_waits_hears_of_the_end():
    sent = publication(Broker(ACK))
    waiting = asyncio.create_task(sent.stored())
    await asyncio.sleep(0)

    sent.hear(GONE)

    assert (await waiting).seq == 7


async def test_a_deadline_ends_the_repeats_with_the_last_trouble():
    told = []
    sent = publication(Broker(), deadline=0.01, told=told.append)

    sent.hear(GONE)

    with pytest.raises(BrokerUnavailable, match="TimeoutError"):
        await sent.stored()
    assert told == [GONE]


@pytest.mark.parametrize(("code", "error"), [(10071, WrongRevision), (10054, Refused)])
async def test_a_refusal_is_final(code, error):
    broker = Broker()
    sent = publication(broker)

    sent.hear(raw(b'{"error": {"code": 400, "err_code": %d, "description": "no"}}' % code))

    with pytest.raises(error):
        await sent.stored()
    assert not broker.tasks


async def test_an_answer_that_nobody_can_read_proves_nothing():
    sent = publication(Broker(ACK))

    sent.hear(raw(b"?"))

    assert (await sent.stored()).seq == 7


async def test_closing_the_connection_leaves_nobody_waiting():
    broker = Broker()
    sent = publication(broker)
    waiting = asyncio.create_task(sent.stored())
    sent.hear(GONE)
    await asyncio.sleep(0)

    broker.tasks[0].cancel()

    with pytest.raises(BrokerUnavailable):
        await waiting
