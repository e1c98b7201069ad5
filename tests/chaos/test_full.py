"""A broker that has no room: users are asked for patience, and nothing accepted is lost."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from queqiao_common import provision
from queqiao_common.testing import eventually
from queqiao_testbed.brokers import ProcessBroker, started
from queqiao_testbed.chaos import settled, staged, usual_options, without_backlog

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
    chaos_broker, seed, tmp_path
):
    """`discard: new`: the newest is refused, aloud, rather than the oldest dropped in silence."""
    options = usual_options(stream_bytes=TINY)
    async with staged(tmp_path, [chaos_broker], seed=seed, options=options) as scene:
        async with scene.supervised():
            asking = asyncio.create_task(scene.load.run(messages=900, seconds=30.0))
            await eventually(lambda: told_busy(scene), within=40.0, every=0.5)
            await provision.apply(scene.bus, scale=1.0)  # the operator makes room
            await asking
            findings = await settled(scene)
        left = await without_backlog(scene)

    assert findings.is_clean, findings
    assert findings.excused
    assert not left


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB; only a superuser may have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def broker_on_small_disk(small_disk: Path) -> Iterator[ProcessBroker]:
    yield from started(ProcessBroker(small_disk))


async def test_a_full_disk_loses_nothing_that_was_accepted(
    broker_on_small_disk, small_disk, seed, tmp_path
):
    """The broker then stops JetStream; with room again, and restarted, it goes on."""
    options = usual_options(stream_bytes=SMALL)
    async with staged(tmp_path, [broker_on_small_disk], seed=seed, options=options) as scene:
        async with scene.supervised():
            asking = asyncio.create_task(scene.load.run(messages=300, seconds=20.0))
            await asyncio.sleep(5.0)
            filler = fill(small_disk)
            await asyncio.sleep(6.0)
            assert await turned_away(scene)
            filler.unlink()
            await asyncio.to_thread(broker_on_small_disk.restart)
            await asking
            findings = await settled(scene)
        left = await without_backlog(scene)

    assert findings.is_clean, findings
    assert not left


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
