"""What Queqiao costs a message, beside the least that five hops can cost, in the same run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from queqiao_common import bus as bus_module
from queqiao_common.settings import Nats
from queqiao_common.topology import SERVICES
from queqiao_testbed.configuration import Options
from queqiao_testbed.processes import Child
from queqiao_testbed.system import running

from bench import relay
from bench.machine import NO_LIMIT, Stage, cpu_seconds, load, markdown, percentile, stage
from bench.relay import HOPS

RATE = 100.0
WIDTHS = (64, 256)
"""Messages in flight at full speed: the more there are, the more of them share a wake-up."""


@contextmanager
def relays(folder: Path, url: str) -> Iterator[list[Child]]:
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
        yield hops
    finally:
        for hop in hops:
            hop.kill()


@dataclass(frozen=True)
class Measured:
    """Messages a second by how many are in flight, sorted latencies at `RATE`, CPU in ms.

    `beside` is what else became of the cores' time: the load's own share, and what nobody used.
    """

    rates: dict[int, float]
    latencies: tuple[float, ...] | list[float]
    spent: dict[str, float]
    failures: str = ""
    beside: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """CPU for one message, ms."""
        return sum(self.spent.values())


async def bare(here: Stage, seconds: float) -> Measured:
    """Measure the relay; its CPU is that of the first width."""
    bus = await bus_module.connect(Nats(url=here.url), "bench")
    await relay.provision(bus)
    rates, spent = {}, 0.0
    with relays(here.folder, here.url) as hops:
        await relay.measure(here.url, seconds=2, rate=None)
        pids = [here.broker.pid, *(hop.pid for hop in hops)]
        for width in WIDTHS:
            before = sum(map(cpu_seconds, pids))
            passed = await relay.measure(here.url, seconds=seconds, rate=None, width=width)
            used = 1000 * (sum(map(cpu_seconds, pids)) - before) / max(1, len(passed.latencies))
            rates[width], spent = passed.rate, spent or used
        steady = await relay.measure(here.url, seconds=seconds, rate=RATE)
    await bus.api(f"STREAM.DELETE.{relay.STREAM}")
    await bus.close()
    return Measured(rates, steady.latencies, {"relay": spent})


async def whole(here: Stage, seconds: float) -> Measured:
    """Measure the system; its CPU is that of the first width."""
    options = Options(settings={"moderation": NO_LIMIT})
    rates: dict[int, float] = {}
    spent: dict[str, float] = {}
    beside: dict[str, float] = {}
    async with running(here.folder, broker_url=here.url, options=options) as system:
        await load(system, account="plain", seconds=3, users=64)
        steady = await load(system, account="plain", seconds=seconds, rate=RATE, users=5000)
        failed, sent = steady.failed, steady.sent
        pids = {name: system.replica(name).pid for name in (*SERVICES, "model")}
        pids["nats-server"] = here.broker.pid
        for width in WIDTHS:
            before = {name: cpu_seconds(pid) for name, pid in pids.items()}
            fastest = await load(system, account="plain", seconds=seconds, users=width)
            rates[width] = fastest.replied / fastest.elapsed
            failed, sent = failed + fastest.failed, sent + fastest.sent
            each = 1000 / max(1, fastest.replied)
            beside = beside or {"load": each * fastest.cpu, "idle": each * fastest.idle}
            spent = spent or {
                name: each * (cpu_seconds(pid) - before[name]) for name, pid in pids.items()
            }
    return Measured(rates, steady.latencies, spent, f"{failed} of {sent}", beside)


async def measure(seconds: float) -> str:
    """Measure both on one broker."""
    with stage() as here:
        theirs = await bare(here, seconds)
        ours = await whole(here, seconds)
    rows: list[tuple[str, ...]] = [
        (
            f"messages/s, {width} in flight",
            f"{theirs.rates[width]:,.0f}",
            f"{ours.rates[width]:,.0f}",
            f"{ours.rates[width] / theirs.rates[width]:.2f}",
        )
        for width in WIDTHS
    ]
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        pair = percentile(theirs.latencies, share), percentile(ours.latencies, share)
        row = (f"{name} at {RATE:.0f}/s, ms", *(f"{one:.1f}" for one in pair))
        rows.append((*row, f"{pair[1] / pair[0]:.1f}"))
    row = ("CPU for one message, ms", f"{theirs.total:.2f}", f"{ours.total:.2f}")
    rows.append((*row, f"{ours.total / theirs.total:.1f}"))
    spent = (*ours.spent.values(), ours.total, *ours.beside.values())
    return (
        markdown(("", "bare five-hop relay", "Queqiao", "ratio"), rows)
        + f"\nFailed requests: {ours.failures}.\n\n"
        + f"CPU for one message, ms (at full speed, {WIDTHS[0]} in flight):\n\n"
        + markdown((*ours.spent, "sum", *ours.beside), [tuple(f"{one:.2f}" for one in spent)])
    )
