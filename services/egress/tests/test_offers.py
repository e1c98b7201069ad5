"""Claims: heard, looked up, waited for; and two replicas that race for one, in a real broker."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest
from queqiao_common import bus as bus_module
from queqiao_common import provision
from queqiao_common.claims import Claim, Tries, claim_key
from queqiao_common.events import PassiveOffer, ReplyGiven
from queqiao_common.follow import Follower
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.settings import Nats
from queqiao_common.testing import CONV, NOW_MS, MemoryDocuments
from queqiao_common.topology import CLAIMS
from queqiao_egress import offers
from queqiao_egress.offers import Claims, Handover

KEY = claim_key("main", "m_1")
LATER = Claim(kind="later")
REPLY = Claim(kind="reply", answer="好", items=("t.1",))


def raw(key, value):
    return SimpleNamespace(
        subject=f"$KV.claims.{key}", reply="", data=msgspec.json.encode(value), headers=None
    )


def offer():
    return PassiveOffer(id="o", account="main", conv=CONV, msgid="m_1", text="好", items=("t.1",))


async def test_a_claim_that_was_heard_needs_no_question():
    bucket = MemoryDocuments()
    claims = Claims(bucket)

    claims.hear(raw(KEY, REPLY))

    assert claims.heard(KEY) == REPLY
    assert await claims.look(KEY) == REPLY
    assert await claims.wait(KEY, 60) == REPLY


async def test_what_else_stands_in_the_bucket_is_no_claim():
    claims = Claims(MemoryDocuments())

    claims.hear(raw(f"{KEY}.tries", Tries(count=2)))
    for unreadable in (b"", b"{}"):
        subject = f"$KV.claims.{KEY}"
        claims.hear(SimpleNamespace(subject=subject, reply="", data=unreadable, headers=None))

    assert claims.heard(KEY) is None
    assert await claims.look(KEY) is None


async def test_a_claimed_answer_is_waited_for_until_it_has_left():
    claims = Claims(MemoryDocuments())
    waiting = asyncio.create_task(claims.until_given(KEY, 60))
    await asyncio.sleep(0)

    claims.hear_given(raw(KEY, ReplyGiven(id="given:m_1", account="main", msgid="m_1")))

    assert await waiting
    assert await claims.until_given(KEY, 60)
    assert claims.heard(KEY) is None


async def test_an_older_ingress_is_heard_too():
    claims = Claims(MemoryDocuments())

    claims.hear(raw(f"{KEY}.given", {"delivery": 1}))

    assert await claims.until_given(KEY, 0.0)


async def test_an_answer_that_never_leaves_is_not_waited_for_for_ever():
    assert not await Claims(MemoryDocuments()).until_given(KEY, 0.0)


async def test_all_who_wait_are_woken_by_the_claim():
    claims = Claims(MemoryDocuments())
    waiting = [asyncio.create_task(claims.wait(KEY, 60)) for _ in range(3)]
    await asyncio.sleep(0)

    claims.hear(raw(KEY, REPLY))

    assert await asyncio.gather(*waiting) == [REPLY] * 3


async def test_a_claim_that_nobody_told_us_of_is_found_in_the_bucket():
    bucket = MemoryDocuments()
    await bucket.create(KEY, REPLY)

    async def at_once(future, seconds):
        await asyncio.sleep(0)

    assert await Claims(bucket, until=at_once).wait(KEY, 1.5) == REPLY


async def test_only_so_many_claims_are_remembered(monkeypatch):
    monkeypatch.setattr(offers, "HEARD", 2)
    claims = Claims(MemoryDocuments())
    for number in range(3):
        claims.hear(raw(f"main.{number}", LATER))

    assert [claims.heard(f"main.{number}") for number in range(3)] == [None, LATER, LATER]


async def test_a_message_that_is_settled_is_settled_for_good():
    bucket = MemoryDocuments()
    first, second = Claims(bucket), Claims(bucket)

    assert await first.settle(KEY, LATER) == LATER
    assert await second.settle(KEY, REPLY) == LATER


async def test_offers_end_with_the_window_and_the_message_is_claimed():
    clock = SimpleNamespace(ms=NOW_MS)

    async def until(future, seconds):
        await asyncio.sleep(0)
        clock.ms += int(seconds * 1000)

    handover = Handover(
        Claims(MemoryDocuments(), until=until),
        key=KEY,
        until_ms=NOW_MS + 4000,
        otherwise=LATER,
        now_ms=lambda: clock.ms,
    )

    made = [one async for one in handover.offers(offer)]

    assert len(made) == 3
    assert handover.claim == LATER


# -- with a broker ------------------------------------------------------------------------------


@pytest.fixture
async def buses(shared_broker):
    """Two connections, as of two replicas."""
    both = [await bus_module.connect(Nats(url=shared_broker.url), "test") for _ in range(2)]
    await provision.apply_patiently(both[0])
    await both[0].api(f"STREAM.PURGE.{CLAIMS.stream}")
    yield both
    for bus in both:
        await bus.close()


@pytest.mark.broker
async def test_of_two_who_claim_a_message_exactly_one_has_it_and_both_know(buses):
    """Else a user would read one answer twice, or none."""
    one, two = (Claims(JetStreamDocuments(bus, CLAIMS, Claim)) for bus in buses)

    for number in range(50):
        key = f"main.race_{number}"
        mine, theirs = await asyncio.gather(one.settle(key, LATER), two.settle(key, REPLY))
        assert mine == theirs


@pytest.mark.broker
async def test_a_claim_of_another_process_wakes_who_waits_for_it(buses):
    ours, theirs = buses
    claims = Claims(JetStreamDocuments(ours, CLAIMS, Claim))
    follower = Follower(
        ours, stream=CLAIMS.stream, subject="$KV.claims.>", hear=claims.hear, since=20.0
    )
    following = asyncio.create_task(follower.run())
    waiting = asyncio.create_task(claims.wait(KEY, 30.0))

    await JetStreamDocuments(theirs, CLAIMS, Claim).create(KEY, REPLY)

    assert await asyncio.wait_for(waiting, 10.0) == REPLY
    follower.stop()
    await asyncio.wait_for(following, 10.0)
