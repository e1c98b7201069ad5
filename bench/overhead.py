"""What Queqiao costs a message, beside the least that five hops can cost, in the same run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from queqiao_common import bus as bus_module
from queqiao_common.settings import Nats
from queqiao_common.topology import SERVICES
from queqiao_testbed.configuration import Options
from queqiao_testbed.processes import Child
from queqiao_testbed.system import running

from bench import relay
from bench.load import Seen
from bench.machine import NO_LIMIT, Stage, cpu_seconds, load, markdown, percentile, stage
from bench.relay import HOPS, Passed

RATE = 100.0


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


async def bare(here: Stage, seconds: float) -> tuple[Passed, Passed, float]:
    """Return the relay at its fastest and at 100 a second, and its CPU in ms for each message."""
    bus = await bus_module.connect(Nats(url=here.url), "bench")
    await relay.provision(bus)
    with relays(here.folder, here.url) as hops:
        await relay.measure(here.url, seconds=2, rate=None)
        pids = [here.broker.pid, *(hop.pid for hop in hops)]
        before = sum(map(cpu_seconds, pids))
        fastest = await relay.measure(here.url, seconds=seconds, rate=None)
        spent = 1000 * (sum(map(cpu_seconds, pids)) - before) / max(1, len(fastest.latencies))
        steady = await relay.measure(here.url, seconds=seconds, rate=RATE)
    await bus.api(f"STREAM.DELETE.{relay.STREAM}")
    await bus.close()
    return fastest, steady, spent


async def whole(here: Stage, seconds: float) -> tuple[Seen, Seen, dict[str, float]]:
    """Return the system at its fastest, at 100 a second, and its CPU in ms for each message."""
    options = Options(settings={"moderation": NO_LIMIT})
    async with running(here.folder, broker_url=here.url, options=options) as system:
        await load(system, account="plain", seconds=3, users=64)
        steady = await load(system, account="plain", seconds=seconds, rate=RATE, users=5000)
        pids = {name: system.replica(name).pid for name in (*SERVICES, "model")}
        pids["nats-server"] = here.broker.pid
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        fastest = await load(system, account="plain", seconds=seconds, users=64)
        spent = {
            name: 1000 * (cpu_seconds(pid) - before[name]) / max(1, fastest.replied)
            for name, pid in pids.items()
        }
    return fastest, steady, spent


async def measure(seconds: float) -> str:
    """Measure both on one broker."""
    with stage() as here:
        relayed = await bare(here, seconds)
        fastest, steady, spent = await whole(here, seconds)
    rate = fastest.replied / fastest.elapsed
    rows = [
        (
            "messages/s, 64 in flight",
            f"{relayed[0].rate:,.0f}",
            f"{rate:,.0f}",
            f"{rate / relayed[0].rate:.2f}",
        )
    ]
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        theirs, ours = percentile(relayed[1].latencies, share), percentile(steady.latencies, share)
        row = (f"{name} at {RATE:.0f}/s, ms", f"{theirs:.1f}", f"{ours:.1f}")
        rows.append((*row, f"{ours / theirs:.1f}"))
    total = sum(spent.values())
    row = ("CPU for one message, ms", f"{relayed[2]:.2f}", f"{total:.2f}")
    rows.append((*row, f"{total / relayed[2]:.1f}"))
    failed, sent = steady.failed + fastest.failed, steady.sent + fastest.sent
    return (
        markdown(("", "bare five-hop relay", "Queqiao", "ratio"), rows)
        + f"\nFailed requests: {failed} of {sent}.\n\nCPU for one message, ms (at full speed):\n\n"
        + markdown((*spent, "sum"), [tuple(f"{one:.2f}" for one in (*spent.values(), total))])
    )
