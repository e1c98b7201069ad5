"""Measure: `python -m bench [--seconds 10] [--write docs/performance.md]`.

In one run, on one broker with `sync_interval: always`: the bare five-hop relay, then the whole
system with single replicas, a fake model that answers at once, and WeChat as a lean load generator.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import uvloop
from queqiao_common import bus as bus_module
from queqiao_common.settings import Nats
from queqiao_common.topology import SERVICES
from queqiao_testbed import brokers
from queqiao_testbed.configuration import Options
from queqiao_testbed.processes import Child
from queqiao_testbed.system import System, running

from bench import relay
from bench.load import Seen
from bench.relay import HOPS, Passed

RATE = 100.0


def percentile(values: tuple[float, ...] | list[float], share: float) -> float:
    """Return a percentile of sorted values in milliseconds."""
    return 1000 * values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def relays(folder: Path, url: str) -> Iterator[None]:
    """Run the five hops."""
    hops = [
        Child(
            f"hop-{hop}",
            ["-m", "bench.relay", str(hop)],
            log=folder / f"hop-{hop}.log",
            variables={"QUEQIAO_NATS_URL": url},
        )
        for hop in range(HOPS)
    ]
    try:
        for hop in hops:
            hop.start()
        yield
    finally:
        for hop in hops:
            hop.kill()


async def measure_relay(folder: Path, url: str, seconds: float) -> tuple[Passed, Passed]:
    """Return the relay at its fastest, and at 100 messages a second."""
    bus = await bus_module.connect(Nats(url=url), "bench")
    await relay.provision(bus)
    with relays(folder, url):
        await relay.measure(url, seconds=2, rate=None)
        fastest = await relay.measure(url, seconds=seconds, rate=None)
        steady = await relay.measure(url, seconds=seconds, rate=RATE)
    await bus.api(f"STREAM.DELETE.{relay.STREAM}")
    await bus.close()
    return fastest, steady


async def load(system: System, **options: object) -> Seen:
    """Run one load in a process of its own."""
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


async def measure_system(
    folder: Path, url: str, seconds: float, broker_pid: int
) -> tuple[Seen, Seen, dict[str, float]]:
    """Return the system at its fastest, at 100 a second, and its CPU in ms for each message."""
    options = Options(settings={"moderation": {"messages_per_minute": 0}})
    async with running(folder, broker_url=url, options=options) as system:
        await load(system, account="plain", seconds=3, users=64)
        steady = await load(system, account="plain", seconds=seconds, rate=RATE)
        pids = {name: system.replica(name).pid for name in (*SERVICES, "model")}
        pids["nats-server"] = broker_pid
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        fastest = await load(system, account="plain", seconds=seconds, users=64)
        spent = {
            name: 1000 * (cpu_seconds(pid) - before[name]) / max(1, fastest.replied)
            for name, pid in pids.items()
        }
    return fastest, steady, spent


def table(bare: tuple[Passed, Passed], whole: tuple[Seen, Seen], spent: dict[str, float]) -> str:
    """Write the results as Markdown."""
    fastest, steady = whole
    rate = fastest.replied / fastest.elapsed
    lines = [
        "| | bare five-hop relay | Queqiao | ratio |",
        "|---|---|---|---|",
        (
            f"| messages/s, 64 in flight | {bare[0].rate:,.0f} | {rate:,.0f} | "
            f"{rate / bare[0].rate:.2f} |"
        ),
    ]
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        relayed, ours = percentile(bare[1].latencies, share), percentile(steady.latencies, share)
        lines.append(
            f"| {name} at {RATE:.0f}/s, ms | {relayed:.1f} | {ours:.1f} | {ours / relayed:.1f} |"
        )
    lines += [
        "",
        f"Failed requests: {steady.failed + fastest.failed} of {steady.sent + fastest.sent}.",
        "",
        "CPU for one message, ms (at full speed):",
        "",
        "| " + " | ".join(spent) + " | sum |",
        "|" + "---|" * (len(spent) + 1),
        "| "
        + " | ".join(f"{value:.2f}" for value in spent.values())
        + f" | {sum(spent.values()):.2f} |",
        "",
        (
            f"Machine: {os.cpu_count()} cores, {platform.machine()}, "
            f"Python {platform.python_version()}, load and fakes on the same machine, "
            "broker with `sync_interval: always`."
        ),
    ]
    return "\n".join(lines) + "\n"


async def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--write", type=Path, help="a Markdown file to write the tables to")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prog := "queqiao-bench") as name:
        folder = Path(name)
        broker = brokers.ProcessBroker(folder)
        with contextmanager(brokers.started)(broker):
            bare = await measure_relay(folder, broker.url, given.seconds)
            fastest, steady, spent = await measure_system(
                folder, broker.url, given.seconds, broker.pid
            )
    report = table(bare, (fastest, steady), spent)
    sys.stdout.write(report)
    if given.write:
        given.write.write_text(f"# {prog}\n\n{report}", encoding="utf-8")


if __name__ == "__main__":
    uvloop.run(main())
