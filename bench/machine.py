"""What every measurement needs: a broker, the whole system, a load, and the numbers of /proc."""

import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from queqiao_testbed import brokers
from queqiao_testbed.system import System

from bench.load import Seen

PAGE = os.sysconf("SC_PAGE_SIZE")
NO_LIMIT = {"messages_per_minute": 0}


@dataclass(frozen=True)
class Stage:
    """Where one measurement plays: a folder and a broker of its own."""

    folder: Path
    broker: brokers.ProcessBroker

    @property
    def url(self) -> str:
        """The broker's address."""
        return self.broker.url


@contextmanager
def stage() -> Iterator[Stage]:
    """Set a stage, with `sync_interval: always`, and clear it away."""
    with tempfile.TemporaryDirectory(prefix="queqiao-bench") as name:
        folder = Path(name)
        broker = brokers.ProcessBroker(folder)
        with contextmanager(brokers.started)(broker):
            yield Stage(folder, broker)


def percentile(values: tuple[float, ...] | list[float], share: float) -> float:
    """Return a percentile of sorted values in milliseconds."""
    return 1000 * values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def within(values: list[float], seconds: float, total: int) -> float:
    """Return which share of `total` waited at most `seconds`."""
    return sum(value <= seconds for value in values) / max(1, total)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    """Return the memory that a process holds, in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1024**2


async def load(system: System, **options: object) -> Seen:
    """Run one load in a process of its own, against every replica of ingress."""
    ports = ",".join(map(str, system.ports.services["ingress"]))
    argv = [f"--{name}={value}" for name, value in options.items()]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.load",
        f"--ports={ports}",
        *argv,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    return msgspec.json.decode(printed, type=Seen)


def markdown(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Write a table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def description() -> str:
    """Describe the machine."""
    return (
        f"Machine: {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}, load and fakes on the same machine, "
        "broker with `sync_interval: always`."
    )
