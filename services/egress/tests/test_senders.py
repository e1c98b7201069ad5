"""Whose call it was is asked what became of it; only one that is gone leaves it in doubt."""

import asyncio

import pytest
from queqiao_common.errors import TransientError
from queqiao_common.testing import delivery
from queqiao_egress.progress import Progress
from queqiao_egress.senders import LOOKS, PATIENCE
from queqiao_egress.sent import Marker


def causes_of_doubt(caplog):
    return [line.cause for line in caplog.records if line.message == "delivery.ambiguous"]


async def refused(_key, _change):
    raise TransientError("broker away")


async def under_way(active):
    """Begin a delivery; returns its task, and the gate before WeChat's answer."""
    gate = asyncio.Event()
    active.wechat.answers = [gate.wait]
    running = asyncio.create_task(active.deliver(delivery()))
    for _ in range(3):
        await asyncio.sleep(0)
    return running, gate


async def ended(running):
    """End a call in the middle."""
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def killed_in_a_call(active):
    """Kill the first process in the middle of a call; returns another."""
    running, _ = await under_way(active)
    await ended(running)
    active.kill(active.first)
    return active.another()


async def test_a_call_that_another_process_is_making_is_waited_for_however_long(active, caplog):
    running, gate = await under_way(active)
    active.now_ms += 300_000

    with pytest.raises(TransientError, match="another process is sending"):
        await active.deliver(delivery(), attempt=2, process=active.another())

    gate.set()
    await running
    again = await active.deliver(delivery(), attempt=3, process=active.another("three"))
    assert (len(active.wechat.shown), again.status) == (1, "delivered")
    assert causes_of_doubt(caplog) == []


async def test_a_sender_that_stands_still_is_waited_for_and_then_given_up(active, caplog):
    running, gate = await under_way(active)
    active.first.is_frozen = True
    other = active.another()
    for _ in range(18):
        active.now_ms += 5_000
        with pytest.raises(TransientError, match="says nothing") as caught:
            await active.deliver(delivery(), attempt=2, process=other)
        assert caught.value.after == 5.0

    active.now_ms += 5_000
    result = await active.deliver(delivery(), attempt=3, process=other)
    assert (len(active.wechat.shown), result.status) == (1, "delivered")
    assert causes_of_doubt(caplog) == ["sender_gone"]
    assert caplog.records[-1].replica == "one"

    # When it wakes up, it finds that somebody else has gone on.
    gate.set()
    with pytest.raises(TransientError, match="taken this delivery over"):
        await running


async def test_a_sender_that_is_cut_off_comes_back_and_says_what_became_of_it(
    active, monkeypatch, caplog
):
    """It could not write down that WeChat took the message: whoever asks is told."""
    running, gate = await under_way(active)
    with monkeypatch.context() as away:
        away.setattr(active.sent, "update", refused)
        gate.set()
        with pytest.raises(TransientError, match="broker away"):
            await running
    active.kill(active.first)
    other = active.another()
    for seconds in (10, 2, 2):
        active.now_ms += seconds * 1000
        with pytest.raises(TransientError, match="may come back"):
            await active.deliver(delivery(), attempt=2, process=other)

    active.processes.append(active.first)
    result = await active.deliver(delivery(), attempt=3, process=other)

    assert (len(active.wechat.shown), result.status) == (1, "delivered")
    assert causes_of_doubt(caplog) == []


async def missed(active, process, times):
    """Look for the sender of a delivery that is away."""
    for _ in range(times):
        active.now_ms += 2_000
        with pytest.raises(TransientError, match="may come back") as caught:
            await active.deliver(delivery(), attempt=2, process=process)
        assert caught.value.after == 2.0


async def test_a_sender_is_gone_when_it_was_missed_time_after_time(active):
    other = await killed_in_a_call(active)
    active.now_ms += 60_000
    await missed(active, other, LOOKS - 1)

    active.now_ms += 2_000
    await active.deliver(delivery(), attempt=3, process=other)

    assert len(active.wechat.shown) == 1


async def test_a_sender_is_missed_by_one_process_and_not_by_each_in_turn(active, caplog):
    """Else, with many replicas, a delivery is given up before any has missed it often enough."""
    await killed_in_a_call(active)
    other = active.another("three", patience=PATIENCE)
    active.now_ms += 10_000

    result = await active.deliver(delivery(), attempt=2, process=other)

    assert (len(active.wechat.shown), result.status) == (1, "delivered")
    assert causes_of_doubt(caplog) == ["sender_gone"]


async def test_a_sender_that_stands_still_is_not_waited_for_in_place_for_ever(active):
    running, gate = await under_way(active)
    active.first.is_frozen = True
    began_ms = active.now_ms

    with pytest.raises(TransientError, match="says nothing"):
        await active.deliver(delivery(), attempt=2, process=active.another(patience=PATIENCE))
    assert active.now_ms - began_ms == PATIENCE * 1000

    gate.set()
    await running


async def test_a_sender_that_lost_its_connection_with_the_broker_is_waited_for_as_one_that_sleeps(
    active,
):
    """A broker that restarts ends the connection of whoever stands still just then."""
    other = await killed_in_a_call(active)
    other.senders.reconnected()  # before the sender's claim: of no account
    active.now_ms += 20_000
    await missed(active, other, 2)

    other.senders.reconnected()
    for _ in range(13):
        active.now_ms += 5_000
        with pytest.raises(TransientError, match="may come back") as caught:
            await active.deliver(delivery(), attempt=2, process=other)
        assert caught.value.after == 5.0

    active.now_ms += 5_000
    assert (await active.deliver(delivery(), attempt=3, process=other)).status == "delivered"


async def test_looks_for_many_deliveries_at_once_are_one(active):
    other = await killed_in_a_call(active)
    active.now_ms += 60_000

    for _ in range(10):
        with pytest.raises(TransientError, match="may come back"):
            await active.deliver(delivery(), attempt=2, process=other)


async def test_a_broker_that_says_nothing_begins_the_looks_anew(active):
    """After its outage the others come back one after the other."""
    other = await killed_in_a_call(active)
    active.now_ms += 60_000
    await missed(active, other, LOOKS - 1)
    active.is_silent = True
    with pytest.raises(TransientError, match="says nothing"):
        await active.deliver(delivery(), attempt=2, process=other)
    active.is_silent = False

    await missed(active, other, LOOKS - 1)


@pytest.mark.parametrize("asker", ["one", "two"])
async def test_a_claim_whose_write_was_not_answered_is_no_call(active, asker, caplog):
    """The sender never makes a call whose claim it does not know to be written."""
    real = active.sent.create

    async def unanswered(key, value):
        await real(key, value)
        raise TransientError("no answer")

    active.sent.create = unanswered
    with pytest.raises(TransientError):
        await active.deliver(delivery())

    process = active.first if asker == "one" else active.another()
    result = await active.deliver(delivery(), attempt=2, process=process)

    assert (len(active.wechat.shown), result.status) == (1, "delivered")
    assert causes_of_doubt(caplog) == []


async def test_a_sender_that_may_have_forgotten_leaves_it_in_doubt(active, caplog):
    running, _ = await under_way(active)
    await ended(running)
    active.first.progress = Progress(limit=0)
    active.first.progress.remember("another", Marker(owner="one", since_ms=0))  # no room for it

    await active.deliver(delivery(), attempt=2, process=active.another())

    assert causes_of_doubt(caplog) == ["sender_gone"]
