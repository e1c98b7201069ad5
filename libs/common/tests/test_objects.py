"""One contract for object stores in the broker and the fake in memory."""

import pytest
from queqiao_common import bus as bus_module
from queqiao_common import provision
from queqiao_common.objects import JetStreamObjects
from queqiao_common.settings import Nats
from queqiao_common.testing import MemoryObjects
from queqiao_common.topology import MEDIA


@pytest.fixture(params=["memory", pytest.param("jetstream", marks=pytest.mark.broker)])
async def objects(request):
    if request.param == "memory":
        yield MemoryObjects()
        return
    broker = request.getfixturevalue("shared_broker")
    bus = await bus_module.connect(Nats(url=broker.url), "test")
    await provision.apply_patiently(bus)
    await bus.api(f"STREAM.PURGE.{MEDIA.stream}")
    yield JetStreamObjects(bus, MEDIA)
    await bus.close()


async def test_an_object_comes_back_byte_for_byte_whatever_its_size(objects):
    for size in (0, 1, 128 * 1024, 300_001):
        data = bytes(number % 251 for number in range(size))
        await objects.put("main/a", data)
        assert await objects.get("main/a") == data


async def test_what_is_not_there_reads_as_none(objects):
    assert await objects.get("main/nothing") is None
    assert await objects.keys() == []


async def test_a_deleted_object_is_gone_and_deleting_it_again_does_no_harm(objects):
    await objects.put("main/a", b"x")
    await objects.put("main/b", b"y")
    await objects.delete("main/a")
    await objects.delete("main/a")
    await objects.delete("main/never")

    assert await objects.get("main/a") is None
    assert await objects.keys() == ["main/b"]
