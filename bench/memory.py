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
from queqiao_testbed.system import System, running

from bench.machine import NO_LIMIT, load, markdown, rss_mib, stage

CONVERSATION_COUNT = 100_000
HISTORY = 10
IN_FLIGHT = 512


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


async def soak(minutes: float, rate: float = 30.0) -> str:
    """Keep up a load and look at every process at the start, in the middle and at the end."""
    options = Options(settings={"moderation": NO_LIMIT})
    looks: list[dict[str, float]] = []
    failed = sent = 0
    with stage() as here:
        async with running(here.folder, broker_url=here.url, options=options) as system:
            await load(system, account="plain", seconds=20, rate=rate)
            known = pids(system, here.broker.pid)
            looks.append({name: rss_mib(pid) for name, pid in known.items()})
            began = time.monotonic()
            while time.monotonic() - began < minutes * 60:
                seen = await load(system, account="plain", seconds=60, rate=rate, users=20_000)
                failed, sent = failed + seen.failed, sent + seen.sent
                looks.append({name: rss_mib(pid) for name, pid in known.items()})
    middle = looks[len(looks) // 2]
    rows = [
        (name, *(f"{look[name]:.0f}" for look in (looks[0], middle, looks[-1]))) for name in known
    ]
    return (
        markdown(("MiB", "start", "middle", "end"), rows)
        + f"\n{minutes:.0f} minutes at {rate:.0f} messages/s: {sent:,} messages, "
        f"{failed} not answered within their callback.\n"
    )
