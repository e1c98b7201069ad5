"""One contract for buckets in the broker and the fake in memory."""

import asyncio

import pytest
from msgspec import Struct
from queqiao_common import bus as bus_module
from queqiao_common import provision
from queqiao_common.answers import WrongRevision
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.settings import Nats
from queqiao_common.testing import MemoryDocuments
from queqiao_common.topology import CLAIMS


class Counter(Struct, frozen=True):
    count: int = 0
    names: tuple[str, ...] = ()


def add(old):
    new = Counter((old or Counter()).count + 1)
    return new, new.count


@pytest.fixture(params=["memory", pytest.param("jetstream", marks=pytest.mark.broker)])
async def documents(request):
    if request.param == "memory":
        yield MemoryDocuments()
        return
    broker = request.getfixturevalue("shared_broker")
    bus = await bus_module.connect(Nats(url=broker.url), "test")
    await provision.apply_patiently(bus)
    await bus.api(f"STREAM.PURGE.{CLAIMS.stream}")
    yield JetStreamDocuments(bus, CLAIMS, Counter)
    await bus.close()


async def test_a_key_without_a_document_reads_as_none(documents):
    assert (await documents.get("main.a")).value is None


async def test_the_first_create_wins_and_a_repeat_of_the_same_value_is_ours(documents):
    assert await documents.create("main.a", Counter(1))
    assert await documents.create("main.a", Counter(1))
    assert not await documents.create("main.a", Counter(2))
    assert (await documents.get("main.a")).value == Counter(1)


async def test_a_write_over_an_old_revision_is_refused(documents):
    first = await documents.put("main.a", Counter(1), revision=0)
    await documents.put("main.a", Counter(2), revision=first)

    with pytest.raises(WrongRevision):
        await documents.put("main.a", Counter(3), revision=first)


async def test_a_deleted_key_can_be_created_again(documents):
    await documents.create("main.a", Counter(1))
    await documents.delete("main.a")

    assert (await documents.get("main.a")).value is None
    assert await documents.create("main.a", Counter(2))


async def test_an_update_that_writes_nothing_says_so(documents):
    await documents.create("main.a", Counter(5))

    assert await documents.update("main.a", lambda old: (None, old.count)) == 5


async def test_updates_count_on_from_each_other(documents):
    assert [await documents.update("main.a", add) for _ in range(3)] == [1, 2, 3]


@pytest.mark.broker
async def test_nothing_is_lost_between_two_processes_that_write_at_once(shared_broker):
    """Each starts from what it saw last; the loser of a race reads again."""
    one = await bus_module.connect(Nats(url=shared_broker.url), "one")
    two = await bus_module.connect(Nats(url=shared_broker.url), "two")
    await provision.apply_patiently(one)
    await one.api(f"STREAM.PURGE.{CLAIMS.stream}")
    mine, theirs = (JetStreamDocuments(bus, CLAIMS, Counter) for bus in (one, two))

    async def sign(documents, name):
        def signed(old):
            names = {*(old or Counter()).names, name}  # the same, were its answer lost
            return Counter(names=tuple(sorted(names))), None

        await documents.update("main.race", signed)

    async def sign_in(documents, who):
        for number in range(25):
            await sign(documents, f"{who}{number}")

    await asyncio.gather(sign_in(mine, "a"), sign_in(theirs, "b"))

    assert len((await theirs.get("main.race")).value.names) == 50
    await one.close()
    await two.close()
