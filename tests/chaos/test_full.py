"""A broker that has no room: users are asked for patience, and nothing accepted is lost."""

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from queqiao_common import provision
from queqiao_common.testing import eventually
from queqiao_testbed.chaos import decided, judged, staged, usual_options

pytestmark = pytest.mark.chaos

BUSY = "现在咨询的人有点多"
TINY = 0.00008
"""Scales the streams to some 170 kB: full after a few hundred messages."""
SMALL = 0.002
"""Scales the streams to what a disk of `ROOM` may promise them."""
ROOM = 64 * 1024 * 1024


async def told_busy(scene):
    entries = [entry for one in ("auto", "active") for entry in await scene.system.transcript(one)]
    return [entry for entry in entries if BUSY in entry["text"]]


async def turned_away(scene):
    """Return the deliveries that were not taken: WeChat tries those again."""
    pushes = await scene.system.control("GET", "/pushes", params={"account": "auto"})
    return [one for push in pushes for one in push["deliveries"] if one["status"] == 503]


async def test_a_full_stream_is_answered_with_the_busy_text_and_recovers(
    one_broker, seed, tmp_path
):
    """`discard: new`: the newest is refused, aloud, rather than the oldest dropped in silence."""

    async def run(folder):
        options = usual_options(stream_bytes=TINY)
        with one_broker(folder) as broker:
            async with staged(folder, [broker], seed=seed, options=options) as scene:
                async with scene.supervised():
                    asking = asyncio.create_task(scene.load.run(messages=900, seconds=30.0))
                    await eventually(lambda: told_busy(scene), within=90.0, every=0.5)
                    await provision.apply(scene.bus, scale=1.0)  # the operator makes room
                    await asking
                    return await judged(scene, excused_share=1.0)

    report = await decided(tmp_path, run)

    assert not report.inconclusive, f"the test bed failed twice: {report.inconclusive}"
    assert not report.problems, f"QUEQIAO_CHAOS_SEED={seed}: {report.problems}"
    assert report.findings.excused


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 64 MB; only a superuser may have one."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


async def test_a_full_disk_loses_nothing_that_was_accepted(one_broker, seed, tmp_path):
    """The broker then stops JetStream; with room again, and restarted, it goes on."""

    async def run(folder):
        options = usual_options(stream_bytes=SMALL)
        with small_disk(folder) as disk, one_broker(disk) as broker:
            async with staged(folder, [broker], seed=seed, options=options) as scene:
                async with scene.supervised():
                    asking = asyncio.create_task(scene.load.run(messages=300, seconds=20.0))
                    await asyncio.sleep(5.0)
                    with scene.happening("broker: full disk", "broker", ends=True):
                        filler = fill(disk)
                        await eventually(lambda: turned_away(scene), within=60.0, every=0.5)
                        filler.unlink()
                        await asyncio.to_thread(broker.restart)
                    await asking
                    return await judged(scene, excused_share=1.0)

    report = await decided(tmp_path, run)

    assert not report.inconclusive, f"the test bed failed twice: {report.inconclusive}"
    assert not report.problems, f"QUEQIAO_CHAOS_SEED={seed}: {report.problems}"


def fill(folder: Path) -> Path:
    """Take all the room there is."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1024 * 1024, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler
