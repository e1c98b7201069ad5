"""Three brokers that keep every stream: any one of them may go, the leader as well."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from queqiao_common.testing import eventually
from queqiao_testbed.chaos import decided, judged, staged, usual_options
from queqiao_testbed.cluster import Cluster

pytestmark = pytest.mark.chaos

ROUND = 9.0
"""Seconds between two blows: an election after a crash takes 4 to 9."""


@contextlib.contextmanager
def cluster_in(folder: Path) -> Iterator[Cluster]:
    own = folder / "cluster"
    own.mkdir()
    cluster = Cluster(own)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


async def leading(cluster, stream):
    """Return the node that leads a stream, when one has been elected."""
    return await eventually(lambda: cluster.led_by(stream), within=60.0, every=0.2)


async def lose_nodes(scene, cluster):
    """Kill the leaders of two streams, one after the other, and freeze that of a bucket."""
    for stream in ("CHAT", "REPLY"):
        await asyncio.sleep(ROUND / 2)
        leader = await leading(cluster, stream)
        with scene.happening("broker: kill -9", stream, ends=True):
            await asyncio.to_thread(leader.kill)
            await asyncio.sleep(ROUND)
            await asyncio.to_thread(leader.start)
    frozen = await leading(cluster, "KV_conversations")
    with scene.happening("broker: pause", "KV_conversations", ends=True):
        frozen.pause()
        try:
            await asyncio.sleep(ROUND)
        finally:
            frozen.resume()


async def restart_nodes(scene, cluster):
    for number, node in enumerate(cluster.nodes):
        with scene.happening("broker: restart", f"n{number}", ends=True):
            await asyncio.to_thread(node.stop)
            await asyncio.to_thread(node.start)
            await eventually(cluster.is_whole, within=90.0, every=0.5)


@pytest.mark.parametrize(
    ("harm", "messages", "seconds"),
    [
        pytest.param(lose_nodes, 400, 4 * ROUND, id="a lost node, be it the leader"),
        pytest.param(restart_nodes, 250, 25.0, id="a rolling restart of the brokers"),
    ],
)
async def test_a_cluster_loses_nothing(harm, messages, seconds, seed, tmp_path):
    """Every publish was acknowledged by two of three; who is told to stop hands over first."""

    async def run(folder):
        options = usual_options(replicas=3, apply_topology=False)
        with cluster_in(folder) as cluster:
            async with staged(folder, cluster.nodes, seed=seed, options=options) as scene:
                async with scene.supervised():
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(scene.load.run(messages=messages, seconds=seconds))
                        tasks.create_task(harm(scene, cluster))
                    return await judged(scene)

    report = await decided(tmp_path, run)

    print(f"\n{report.findings}\ntook {report.took:.0f} s")
    assert not report.inconclusive, f"the test bed failed twice: {report.inconclusive}"
    assert not report.problems, f"QUEQIAO_CHAOS_SEED={seed}: {report.problems}"
