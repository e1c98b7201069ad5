"""Three brokers that keep every stream: any one of them may go, the leader as well."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from queqiao_common.testing import eventually
from queqiao_testbed.chaos import settled, staged, usual_options, without_backlog
from queqiao_testbed.cluster import Cluster

pytestmark = pytest.mark.chaos

ROUND = 9.0
"""Seconds between two blows: an election after a crash takes 4 to 9."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


async def test_a_lost_node_loses_nothing_be_it_the_leader(cluster, seed, tmp_path):
    """Every publish was acknowledged by two of three."""
    options = usual_options(replicas=3, apply_topology=False)
    async with staged(tmp_path, cluster.nodes, seed=seed, options=options) as scene:
        async with scene.supervised(), asyncio.TaskGroup() as tasks:
            tasks.create_task(scene.load.run(messages=400, seconds=4 * ROUND))
            for stream in ("CHAT", "REPLY"):
                await asyncio.sleep(ROUND / 2)
                leader = cluster.nodes[cluster.leader(stream)]
                await asyncio.to_thread(leader.kill)
                await asyncio.sleep(ROUND)
                await asyncio.to_thread(leader.start)
            frozen = cluster.nodes[cluster.leader("KV_conversations")]
            frozen.pause()
            await asyncio.sleep(ROUND)
            frozen.resume()
        findings = await settled(scene)
        left = await without_backlog(scene)

    print(f"\n{findings}")
    assert findings.is_clean, findings
    assert not left
    assert not scene.exits


async def test_a_rolling_restart_of_the_brokers_is_hardly_felt(cluster, seed, tmp_path):
    """A leader that is told to stop hands over first: no election."""
    options = usual_options(replicas=3, apply_topology=False)
    async with staged(tmp_path, cluster.nodes, seed=seed, options=options) as scene:
        async with scene.supervised(), asyncio.TaskGroup() as tasks:
            tasks.create_task(scene.load.run(messages=250, seconds=25.0))
            for node in cluster.nodes:
                await asyncio.to_thread(node.stop)
                await asyncio.to_thread(node.start)
                await eventually(cluster.is_whole, within=30.0, every=0.5)
        findings = await settled(scene)
        left = await without_backlog(scene)

    print(f"\n{findings}")
    assert findings.is_clean, findings
    assert not left
