"""Memory and disk by conversations, and memory over time."""

import asyncio
import time
from pathlib import Path

import msgspec
from msgspec import structs
from queqiao_common import bus as bus_module
from queqiao_common.bus import Bus
from queqiao_common.events import Prompt
from queqiao_common.settings import Nats
from queqiao_common.topology import CONVERSATIONS, SERVICES
from queqiao_context.document import Conversation
from queqiao_testbed.configuration import Options
from queqiao_testbed.ports import free_ports
from queqiao_testbed.system import System, running

from bench.machine import NO_LIMIT, load, markdown, rss_mib, stage

CONVERSATION_COUNT = 100_000
HISTORY = 10
IN_FLIGHT = 512
SHOWN = 6
"""Columns of the table of memory over time, after the start."""


def talk(number: int) -> Conversation:
    """Return a conversation with ten messages of usual length, as context stores it at rest."""
    exchange = (
        Prompt("user", "请问你们的营业时间是几点到几点？周末也开门吗？"),
        Prompt("assistant", "我们每天早上九点到晚上九点营业，周末和节假日照常开门。" * 4),
    )
    blank = Conversation(account="plain", conv=f"c_{number:026d}", openid=f"oBENCH{number:022d}")
    return structs.replace(
        blank,
        epoch="2026-01-01T00:00:00Z",
        cursor=number,
        turns=5,
        history=exchange * (HISTORY // 2),
    )


async def fill(bus: Bus, count: int) -> int:
    """Store conversations; returns the bytes of one."""
    room = asyncio.Semaphore(IN_FLIGHT)

    async def store(number: int) -> None:
        document = talk(number)
        body = msgspec.json.encode(document)
        async with room:
            await bus.publish(f"$KV.{CONVERSATIONS.name}.{document.key}", body)

    for begin in range(0, count, 10_000):
        await asyncio.gather(*(store(number) for number in range(begin, begin + 10_000)))
    return len(msgspec.json.encode(talk(count)))


def pids(system: System, broker: int) -> dict[str, int]:
    """Return the processes whose memory is asked for."""
    return {name: system.replica(name).pid for name in SERVICES} | {"nats-server": broker}


def size_mib(folder: Path) -> float:
    """Return what a folder takes on disk."""
    blocks = sum(path.stat().st_blocks for path in folder.rglob("*") if path.is_file())
    return blocks * 512 / 1024**2


async def measure(seconds: float) -> str:
    """Fill the bucket with 100,000 conversations; look at every process before and after."""
    options = Options(settings={"moderation": NO_LIMIT})
    with stage() as here:
        async with running(here.folder, broker_url=here.url, options=options) as system:
            await load(system, account="plain", seconds=seconds, users=64)
            known = pids(system, here.broker.pid)
            before, disk = (
                {name: rss_mib(pid) for name, pid in known.items()},
                size_mib(here.folder),
            )
            bus = await bus_module.connect(Nats(url=here.url), "bench")
            size = await fill(bus, CONVERSATION_COUNT)
            await bus.close()
            await load(system, account="plain", seconds=seconds, users=64)
            after = {name: rss_mib(pid) for name, pid in known.items()}
            grown = size_mib(here.folder) - disk
    rows = [(name, f"{before[name]:.0f}", f"{after[name]:.0f}") for name in known]
    return (
        markdown(("MiB", "before", f"with {CONVERSATION_COUNT:,} conversations"), rows)
        + f"\nEach of {HISTORY} messages, {size:,} bytes; together {grown:,.0f} MiB on disk.\n"
    )


def growth(values: list[float], minutes: float) -> float:
    """Return the slope of the second half of looks a minute apart, by least squares, in MiB/h."""
    half = values[len(values) // 2 :]
    times = [minutes * index / max(1, len(values) - 1) for index in range(len(half))]
    if len(half) < 2:
        return 0.0
    middle, mean = sum(times) / len(times), sum(half) / len(half)
    spread = sum((time - middle) ** 2 for time in times)
    both = sum((time - middle) * (value - mean) for time, value in zip(times, half, strict=True))
    return 60 * both / spread


async def soak(minutes: float, rate: float = 30.0) -> str:
    """Keep up a load and look at every process each minute; what comes late, comes by API."""
    [port] = free_ports(1)
    options = Options(api_base=f"http://127.0.0.1:{port}", settings={"moderation": NO_LIMIT})
    looks: list[dict[str, float]] = []
    late = sent = 0
    with stage() as here:
        async with running(here.folder, broker_url=here.url, options=options) as system:
            await load(system, account="plain", seconds=20, rate=rate, sink=port)
            known = pids(system, here.broker.pid)
            looks.append({name: rss_mib(pid) for name, pid in known.items()})
            began = time.monotonic()
            while time.monotonic() - began < minutes * 60:
                seen = await load(
                    system, account="plain", seconds=60, rate=rate, users=20_000, sink=port
                )
                late, sent = late + seen.failed, sent + seen.sent
                looks.append({name: rss_mib(pid) for name, pid in known.items()})
    columns = [round(share * (len(looks) - 1) / SHOWN) for share in range(SHOWN + 1)]
    rows = [
        (
            name,
            *(f"{looks[column][name]:.0f}" for column in columns),
            f"{growth([look[name] for look in looks], minutes):+.1f}",
        )
        for name in known
    ]
    head = ("MiB", *(f"{minutes * share / SHOWN:.0f} min" for share in range(SHOWN + 1)))
    return (
        markdown((*head, "second half, MiB/h"), rows)
        + f"\n{minutes:.0f} minutes at {rate:.0f} messages/s: {sent:,} messages, "
        f"{late} not answered within their callback.\n"
    )
