"""A power cut: what has reached the disk is all that is left.

The broker's store lies on a file system of its own, on a loop device. Its backing file holds only
what the kernel was made to write, so a copy of it, taken while everything runs, is the disk as a
power cut would leave it. A second broker starts from the copy.
"""

import asyncio
import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec
import pytest
from queqiao_common import provision
from queqiao_common.bus import Bus, connect
from queqiao_common.kv import Documents, JetStreamDocuments
from queqiao_common.settings import Nats
from queqiao_common.testing import inbound
from queqiao_common.topology import CHAT, CLAIMS, CONVERSATIONS, INBOUND
from queqiao_testbed.brokers import CONFIGURATION, find_binary, wait_until_ready
from queqiao_testbed.ports import free_ports

pytestmark = [pytest.mark.broker, pytest.mark.slow]

DISK = 192 * 1024**2
SECONDS = 5.0
CUTS = 10
RATE = 200.0
BUCKETS = (CONVERSATIONS, CLAIMS)
ALWAYS = "  sync_interval: always\n"


class Numbered(msgspec.Struct, frozen=True):
    """A document that says which write it is."""

    number: int


def run(*argv: str | Path) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def mounted(image: Path, point: Path) -> Iterator[Path]:
    point.mkdir()
    device = run("losetup", "--find", "--show", image)
    try:
        run("mount", device, point)
        try:
            yield point
        finally:
            run("umount", point)
    finally:
        run("losetup", "--detach", device)


def trouble(folder: Path) -> str:
    """Say why this machine cannot simulate a power cut, or nothing."""
    if os.geteuid():
        return "mounting needs root"
    if missing := [name for name in ("losetup", "mkfs.ext4", "mount") if not shutil.which(name)]:
        return f"not installed: {', '.join(missing)}"
    try:
        with mounted(disk(folder / "probe.img", 8 * 1024**2), folder / "probe"):
            return ""
    except (subprocess.CalledProcessError, OSError) as error:
        return f"no loop device: {getattr(error, 'stderr', '') or error}"


def disk(image: Path, size: int = DISK) -> Path:
    with image.open("wb") as file:
        file.truncate(size)
    run("mkfs.ext4", "-q", "-F", image)
    return image


class Server:
    """A broker on a store of its own; it is killed, as after a power cut nothing is flushed."""

    def __init__(self, folder: Path, *, sync: str, is_whole: bool = True) -> None:
        client, monitor = free_ports()
        text = CONFIGURATION.format(
            host="127.0.0.1", client=client, monitor=monitor, store=folder / "store"
        )
        configuration = folder / "nats.conf"
        configuration.write_text(text.replace(ALWAYS, sync))
        with (folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(
                [find_binary(), "-c", configuration], stdout=log, stderr=log
            )
        self.url = f"nats://127.0.0.1:{client}"
        self._monitor_url = f"http://127.0.0.1:{monitor}"
        self._is_whole = is_whole

    def __enter__(self) -> Self:
        try:
            wait_until_ready(self._monitor_url, is_whole=self._is_whole)
        except TimeoutError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it, so that the disk does not change while it is copied."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@dataclass
class Promised:
    """What a broker has acknowledged: events by id, and the last number written to each key."""

    events: set[str] = field(default_factory=set)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)

    def copy(self) -> "Promised":
        return Promised(set(self.events), dict(self.numbers))

    def missing(self, found: "Promised") -> list[str]:
        """Name what was acknowledged and is not there, or only an older state of it."""
        lost = sorted(self.events - found.events)
        older = [
            f"{key}: {found.numbers.get(key)} instead of {number}"
            for key, number in self.numbers.items()
            if found.numbers.get(key, -1) < number
        ]
        return lost + older


async def overwrite(documents: Documents[Numbered], key: str, new: Numbered) -> None:
    """Write a document, whatever is there: perhaps this very one, had its answer been lost."""

    def change(_: Numbered | None) -> tuple[Numbered, None]:
        return new, None

    await documents.update(key, change)


async def write(bus: Bus, promised: Promised) -> None:
    """Publish events, and write to keys of two buckets, one after the other, until cancelled."""
    buckets = [(bucket.name, JetStreamDocuments(bus, bucket, Numbered)) for bucket in BUCKETS]
    for number in itertools.count():
        event = inbound("说" * 50, msgid=f"m_{number}")
        await bus.publish_event(event)
        promised.events.add(event.id)
        for name, documents in buckets:
            place = (name, f"auto.{number % 20}")
            await overwrite(documents, place[1], Numbered(number))
            promised.numbers[place] = number
        await asyncio.sleep(1 / RATE)


async def found(bus: Bus, asked: Promised) -> Promised:
    """Return what is stored of what was acknowledged; nothing, where a whole stream is gone."""
    names = msgspec.json.decode(await bus.api("STREAM.NAMES"))["streams"] or []
    stored = Promised()
    after = 0
    while CHAT.name in names and (one := await bus.read_next(CHAT, INBOUND.filter, after)):
        stored.events.add(one.headers["Nats-Msg-Id"])
        after = one.sequence
    for bucket in BUCKETS:
        if bucket.stream in names:
            documents = JetStreamDocuments(bus, bucket, Numbered)
            for place in asked.numbers:
                if place[0] == bucket.name and (value := (await documents.get(place[1])).value):
                    stored.numbers[place] = value.number
    return stored


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Bus]:
    bus = await connect(Nats(url=url), "cut")
    try:
        yield bus
    finally:
        await bus.close()


async def cut(folder: Path, *, sync: str, moments: Sequence[float]) -> list[tuple[Path, Promised]]:
    """Cut the power at some moments (seconds from the first write), of one run of a broker.

    Returns, for each, the disk as it was left and what had been acknowledged.
    """
    image, cuts, promised = disk(folder / "disk.img"), [], Promised()
    with mounted(image, folder / "before") as store, Server(store, sync=sync) as server:
        async with connected(server.url) as bus:
            await provision.apply(bus, scale=0.005)
            writing = asyncio.create_task(write(bus, promised))
            began = time.monotonic()
            for number, moment in enumerate(moments):
                await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
                copy = folder / f"cut{number}.img"
                with server.frozen():
                    cuts.append((copy, promised.copy()))
                    await asyncio.to_thread(run, "cp", "--sparse=always", image, copy)
            assert not writing.done(), writing
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
    return cuts


async def after(copy: Path, promised: Promised, *, is_whole: bool = True) -> Promised:
    """Start a broker on what a cut has left, and return what it still has."""
    with mounted(copy, copy.with_suffix("")) as store:
        with Server(store, sync=ALWAYS, is_whole=is_whole) as server:
            async with connected(server.url) as bus:
                return await found(bus, promised)


async def test_nothing_that_was_acknowledged_is_lost_with_sync_interval_always(tmp_path):
    """`success` to WeChat rests on this setting; moments after the streams were created, too."""
    if reason := trouble(tmp_path):
        pytest.skip(reason)
    dice = random.Random(seed := random.randrange(1_000_000))
    moments = sorted(dice.uniform(0.2, SECONDS) for _ in range(CUTS))

    cuts = await cut(tmp_path, sync=ALWAYS, moments=moments)

    assert cuts[-1][1].events
    for copy, promised in cuts:
        missing = promised.missing(await after(copy, promised))
        assert not missing, f"seed {seed}, {copy.name} of {moments}: {missing}"


async def test_what_the_default_loses_is_shown(tmp_path, capsys):
    """Not a promise, so nothing is asserted of it: a figure for `docs/operations.md`."""
    if reason := trouble(tmp_path):
        pytest.skip(reason)

    [(copy, promised)] = await cut(tmp_path, sync="", moments=[SECONDS])

    stored = await after(copy, promised, is_whole=False)
    lost = len(promised.events - stored.events)
    with capsys.disabled():
        print(
            f"\n  default sync_interval: {lost} of {len(promised.events)} acknowledged events lost"
        )
    assert promised.events
