"""Pieces or the whole: when users read the first and the last word of a long answer."""

from queqiao_testbed.configuration import Options
from queqiao_testbed.ports import free_ports
from queqiao_testbed.system import running

from bench.machine import NO_LIMIT, load, markdown, percentile, stage

QUESTION = "[first=0.5;tokens_per_second=50;bytes=3000;paragraphs=4] 讲讲鹊桥的故事，第"
WRITTEN = 0.5 + 3000 / 3 / 4 / 50
"""Seconds that the model takes: half a second, then 50 tokens of four characters a second."""


async def waits(segment_bytes: int, seconds: float) -> tuple[float, float]:
    """Return the median seconds to the first and to the last message of an answer by API."""
    [port] = free_ports(1)
    options = Options(
        api_base=f"http://127.0.0.1:{port}",
        settings={"moderation": NO_LIMIT, "llm": {"segment_bytes": segment_bytes}},
    )
    with stage() as here:
        async with running(here.folder, broker_url=here.url, options=options) as system:
            seen = await load(
                system,
                account="active",
                seconds=seconds,
                rate=5,
                users=5000,
                text=QUESTION,
                sink=port,
                linger=12,
            )
    return percentile(seen.firsts, 0.5) / 1000, percentile(seen.lasts, 0.5) / 1000


async def measure(seconds: float) -> str:
    """Compare an answer that leaves paragraph by paragraph with one that leaves whole."""
    rows = []
    for name, size in (("by paragraph (the default)", 600), ("as a whole", 100_000)):
        first, last = await waits(size, seconds)
        rows.append((name, f"{first:.1f}", f"{last:.1f}"))
    table = markdown(("a 3,000-byte answer leaves", "first words after, s", "last words, s"), rows)
    return f"The model itself takes {WRITTEN:.1f} s to write it.\n\n{table}"
