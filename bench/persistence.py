"""What it costs that every step is on the disk before it is acknowledged, and what it saves.

The bare relay runs over a stream of JetStream's usual persistence (with `sync_interval: always`)
and over an asynchronous one; then the broker is killed under publishers, and what it had
acknowledged is looked for (docs/adr/0017).
"""

import asyncio

import msgspec
from msgspec import Struct
from queqiao_common import bus as bus_module
from queqiao_common.bus import Bus
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.settings import Nats

from bench import relay
from bench.machine import Stage, cpu_seconds, markdown, percentile, stage
from bench.overhead import RATE, relays

MODES = ("default", "async")
KILLS = 6
PUBLISHERS = 16
UNTIL_KILLED = 1.5


class _State(Struct):
    last_seq: int


class _Info(Struct):
    state: _State


async def relayed(here: Stage, mode: str, seconds: float) -> tuple[str, ...]:
    """Run the relay over a stream of this mode; returns a row of the table."""
    bus = await bus_module.connect(Nats(url=here.url), "bench")
    await relay.provision(bus, persistence=mode)
    with relays(here.folder, here.url):
        await relay.measure(here.url, seconds=2, rate=None)
        before = cpu_seconds(here.broker.pid)
        fastest = await relay.measure(here.url, seconds=seconds, rate=None)
        spent = 1000 * (cpu_seconds(here.broker.pid) - before) / max(1, len(fastest.latencies))
        steady = await relay.measure(here.url, seconds=seconds, rate=RATE)
    await bus.close()
    return (
        mode,
        f"{fastest.rate:,.0f}",
        f"{spent:.2f}",
        f"{percentile(steady.latencies, 0.5):.1f}",
        f"{percentile(steady.latencies, 0.99):.1f}",
    )


async def killed(here: Stage, mode: str) -> tuple[int, int]:
    """Kill the broker under publishers; returns how much it acknowledged, and how much it lost."""
    bus = await bus_module.connect(Nats(url=here.url), "bench")
    await relay.provision(bus, persistence=mode)
    acknowledged: list[int] = []
    publishers = [
        asyncio.create_task(_publish(bus, number, acknowledged)) for number in range(PUBLISHERS)
    ]
    await asyncio.sleep(UNTIL_KILLED)
    here.broker.kill()
    await asyncio.gather(*publishers)
    here.broker.start()
    found = msgspec.json.decode(await bus.api(f"STREAM.INFO.{relay.STREAM}"), type=_Info)
    await bus.close()
    return len(acknowledged), sum(one > found.state.last_seq for one in acknowledged)


async def _publish(bus: Bus, publisher: int, acknowledged: list[int]) -> None:
    """Publish until the broker is gone."""
    number = 0
    while True:
        number += 1
        try:
            ack = await bus.publish(
                "relay.lost", b"x" * 500, event_id=f"{publisher}-{number}", deadline=0.5
            )
        except BrokerUnavailable:
            return
        acknowledged.append(ack.seq)


async def measure(seconds: float) -> str:
    """Measure both modes, and kill the broker of each a few times."""
    rows = []
    for mode in MODES:
        with stage() as here:
            row = await relayed(here, mode, seconds)
        stored = lost = 0
        for _ in range(KILLS):
            with stage() as here:
                more = await killed(here, mode)
            stored, lost = stored + more[0], lost + more[1]
        rows.append((*row, f"{lost} of {stored:,}"))
    head = (
        "persistence",
        "messages/s",
        "broker CPU, ms",
        f"p50 at {RATE:.0f}/s, ms",
        "p99, ms",
        f"acknowledged and lost by {KILLS} kill -9",
    )
    return markdown(head, rows)
