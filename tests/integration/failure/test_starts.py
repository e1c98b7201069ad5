"""A service may start before its broker can do anything: it waits, and does not give up."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from queqiao_common.testing import eventually
from queqiao_testbed.cluster import Cluster
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import build


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.stop()


async def test_a_service_waits_for_a_broker_that_has_no_leader_yet(cluster, tmp_path):
    """A cluster that starts answers connections first, and JetStream's questions seconds later."""
    first, *others = cluster.nodes
    first.launch()
    options = Options(settings={"nats": {"replicas": 3}})
    system = build(tmp_path, broker_url=cluster.url, options=options)
    child = system.replica("context")
    try:
        child.start()
        await eventually(lambda: "topology.unreachable" in child.log.read_text(), within=60.0)
        for node in others:
            node.launch()

        await eventually(lambda: system.is_ready(child), within=60.0, every=0.2)
        assert child.exit_code is None
    finally:
        await system.close()


async def test_a_service_that_starts_while_the_broker_is_away_waits_for_it(own_broker, tmp_path):
    """Else whoever restarts both together would count an end that means nothing."""
    await asyncio.to_thread(own_broker.kill)
    system = build(tmp_path, broker_url=own_broker.url)
    child = system.replica("moderation")
    try:
        child.start()
        await asyncio.to_thread(own_broker.start)

        await eventually(lambda: system.is_ready(child), within=60.0, every=0.2)
        assert child.exit_code is None
    finally:
        await system.close()
