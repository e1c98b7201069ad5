"""One token for all replicas, fetched once."""

import asyncio
from types import SimpleNamespace

import pytest
from queqiao_common import bus as bus_module
from queqiao_common import provision
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.settings import Nats
from queqiao_common.testing import NOW_MS, ForgetfulDocuments, MemoryDocuments
from queqiao_common.topology import TOKENS
from queqiao_egress.tokens import EARLY, LEASE, Held, Tokens
from queqiao_wechat.client import AmbiguousError, ApiError, Token, UnreachableError
from queqiao_wechat.errcodes import Action


class WeChat:
    """Gives out tokens as the stable token API does."""

    def __init__(self):
        self.calls = []
        self.current = "token-0"
        self.errors = []
        self.gate = None

    async def fetch(self, *, force):
        self.calls.append(force)
        if self.gate is not None:
            await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        if force:
            self.current = f"token-{len(self.calls)}"
        return Token(access_token=self.current, expires_in=7200)


@pytest.fixture
def wechat():
    return WeChat()


@pytest.fixture
def clock():
    return SimpleNamespace(ms=NOW_MS)


def tokens(bucket, wechat, clock, owner="one"):
    async def sleep(seconds):
        await asyncio.sleep(0)
        clock.ms += int(seconds * 1000)

    return Tokens(
        bucket,
        account="main",
        fetch=wechat.fetch,
        owner=owner,
        now_ms=lambda: clock.ms,
        sleep=sleep,
    )


async def test_many_callers_of_two_replicas_cause_one_fetch(wechat, clock):
    bucket = MemoryDocuments()
    one, two = (tokens(bucket, wechat, clock, owner) for owner in ("one", "two"))

    found = await asyncio.gather(*(source.get() for source in (one, two) * 10))

    assert set(found) == {"token-0"}
    assert wechat.calls == [False]


async def test_a_token_is_renewed_before_it_ends(wechat, clock):
    source = tokens(MemoryDocuments(), wechat, clock)
    await source.get()

    clock.ms += int((7200 - EARLY) * 1000) - 1
    await source.get()
    assert len(wechat.calls) == 1

    clock.ms += 1
    await source.get()
    assert len(wechat.calls) == 2


async def test_while_the_next_token_is_fetched_the_others_use_the_old_one(wechat, clock):
    bucket = MemoryDocuments()
    one, two = (tokens(bucket, wechat, clock, owner) for owner in ("one", "two"))
    await one.get()
    clock.ms += int((7200 - EARLY) * 1000) + 1
    wechat.gate, wechat.current = asyncio.Event(), "token-1"
    renewing = asyncio.create_task(one.get())
    for _ in range(5):
        await asyncio.sleep(0)

    assert await two.get() == "token-0"

    wechat.gate.set()
    assert await renewing == "token-1"
    assert await two.get() == "token-1"


async def test_a_refused_token_is_replaced_once_and_by_force_only_if_need_be(wechat, clock):
    bucket = MemoryDocuments()
    one, two = (tokens(bucket, wechat, clock, owner) for owner in ("one", "two"))
    await one.get()
    await two.get()
    wechat.current = "token-of-somebody-else"

    assert await one.renew("token-0") == "token-of-somebody-else"
    assert await two.renew("token-0") == "token-of-somebody-else"
    assert wechat.calls == [False, False]

    fresh = await one.renew("token-of-somebody-else")
    assert fresh not in ("token-0", "token-of-somebody-else")
    assert wechat.calls == [False, False, False, True]


async def test_the_lease_of_a_dead_replica_ends(wechat, clock):
    bucket = MemoryDocuments()
    until_ms = NOW_MS + int(LEASE * 1000)
    await bucket.create("main", Held(fetcher="dead", lease_until_ms=until_ms))

    assert await tokens(bucket, wechat, clock).get() == "token-0"
    assert clock.ms >= until_ms


async def test_who_has_the_lease_but_was_not_told_fetches(wechat, clock):
    """Else nobody would, for the length of the lease."""
    assert await tokens(ForgetfulDocuments(), wechat, clock).get() == "token-0"
    assert clock.ms == NOW_MS


async def test_a_fetch_that_fails_gives_the_lease_back(wechat, clock):
    wechat.errors = [ApiError(40164, "ip", Action.CONFIG)]
    source = tokens(MemoryDocuments(), wechat, clock)

    with pytest.raises(ApiError):
        await source.get()

    assert await source.get() == "token-0"
    assert clock.ms == NOW_MS


async def test_a_lost_answer_about_a_token_leaves_no_message_in_doubt(wechat, clock):
    """The sender would otherwise count a message as perhaps sent."""
    wechat.errors = [AmbiguousError("time-out")]

    with pytest.raises(UnreachableError):
        await tokens(MemoryDocuments(), wechat, clock).get()


async def test_the_old_token_serves_on_when_the_next_cannot_be_fetched(wechat, clock):
    source = tokens(MemoryDocuments(), wechat, clock)
    await source.get()
    clock.ms += int((7200 - EARLY) * 1000) + 1
    wechat.errors = [UnreachableError("down")]

    assert await source.get() == "token-0"


def test_a_token_is_not_printed():
    assert "secret" not in repr(Held(access_token="secret"))


@pytest.mark.broker
async def test_two_replicas_with_a_broker_fetch_exactly_once(shared_broker, wechat):
    buses = [await bus_module.connect(Nats(url=shared_broker.url), "test") for _ in range(2)]
    await provision.apply_patiently(buses[0])
    await buses[0].api(f"STREAM.PURGE.{TOKENS.stream}")
    sources = [
        Tokens(
            JetStreamDocuments(bus, TOKENS, Held),
            account="main",
            fetch=wechat.fetch,
            owner=str(number),
            now_ms=lambda: NOW_MS,
        )
        for number, bus in enumerate(buses)
    ]

    first = await asyncio.gather(*(source.get() for source in sources * 5))
    renewed = await asyncio.gather(*(source.renew("token-0") for source in sources * 5))

    assert set(first) == {"token-0"}
    assert len(set(renewed)) == 1
    assert wechat.calls == [False, False, True]
    for bus in buses:
        await bus.close()
