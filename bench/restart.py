"""A rolling restart of everything under load: how long it takes, and what users notice."""

import asyncio
import time

from queqiao_common.topology import SERVICES
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

from bench.machine import NO_LIMIT, load, markdown, percentile, stage

RATE = 40.0


async def measure(seconds: float) -> str:
    """Restart two replicas of each service one after the other, at 40 messages a second."""
    rows: list[tuple[str, ...]] = []
    options = Options(settings={"moderation": NO_LIMIT})
    with stage() as here:
        async with running(here.folder, broker_url=here.url, replicas=2, options=options) as system:
            await load(system, account="plain", seconds=2, users=16)
            began = time.monotonic()
            under_way = asyncio.create_task(
                load(system, account="plain", seconds=max(40, seconds), rate=RATE)
            )
            await asyncio.sleep(1)
            for service in reversed(SERVICES):
                started = time.monotonic()
                for child in system.children[service]:
                    child.terminate()
                    await asyncio.to_thread(child.wait)
                    child.start()
                    await system.ready()
                rows.append((service, f"{time.monotonic() - started:.1f}"))
            total = time.monotonic() - began - 1
            seen = await under_way
    rows.append(("all of them", f"{total:.1f}"))
    return (
        markdown(("two replicas, one after the other", "seconds"), rows)
        + f"\nMeanwhile {seen.sent} messages: {seen.failed} not answered within their callback, "
        f"p50 {percentile(seen.latencies, 0.5):.0f} ms, p99 {percentile(seen.latencies, 0.99):.0f} "
        "ms.\n"
    )
