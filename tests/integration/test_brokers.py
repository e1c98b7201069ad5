"""The other tests kill brokers and trust what comes back: here is why they may."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from queqiao_common.bus import Bus, connect
from queqiao_common.settings import Nats
from queqiao_testbed.brokers import (
    Broker,
    containers_required,
    docker_trouble,
    make_broker,
    started,
)

pytestmark = pytest.mark.broker


@pytest.fixture(params=[pytest.param("container", marks=pytest.mark.containers), "process"])
def each_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    if request.param == "container" and docker_trouble() and not containers_required():
        pytest.skip(docker_trouble())
    yield from started(make_broker(tmp_path, request.param))


class Info(msgspec.Struct):
    state: dict[str, object]


async def stored(bus: Bus) -> object:
    answer = await bus.api("STREAM.INFO.PROOF")
    return msgspec.json.decode(answer, type=Info).state["messages"]


async def test_what_was_acknowledged_survives_a_kill(each_broker: Broker) -> None:
    """Acknowledged means on the disk: `sync_interval: always` is what the promises rest on."""
    bus = await connect(Nats(url=each_broker.url), "proof")
    await bus.api("STREAM.CREATE.PROOF", {"name": "PROOF", "subjects": ["proof.>"]})
    for number in range(5):
        await bus.publish(f"proof.{number}", b"kept")

    each_broker.kill()
    each_broker.start()

    try:
        await bus.publish("proof.after", b"kept")
        assert await stored(bus) == 6
    finally:
        await bus.close()


async def test_the_shared_broker_has_jetstream(broker: Broker) -> None:
    bus = await connect(Nats(url=broker.url), "proof")
    try:
        assert b"account_info_response" in await bus.api("INFO")
    finally:
        await bus.close()


async def test_a_restart_keeps_the_address(own_broker: Broker) -> None:
    before = own_broker.url

    own_broker.restart()

    bus = await connect(Nats(url=own_broker.url), "proof")
    await bus.close()
    assert own_broker.url == before
