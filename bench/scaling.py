"""The llm service scaled alone: answers a second of a 2 s model, by replicas of llm."""

from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

from bench.machine import NO_LIMIT, load, markdown, stage

SECONDS = 2.0
"""That the model takes."""
TURNS = 32
"""At once in one replica: all that bounds it here, as a real model is bound by its provider."""


async def answered(replicas: int, seconds: float) -> float:
    """Return answers a second with so many replicas of llm and one of everything else."""
    options = Options(
        counts={"llm": replicas},
        settings={"moderation": NO_LIMIT, "llm": {"concurrency": TURNS}},
    )
    with stage() as here:
        async with running(here.folder, broker_url=here.url, options=options) as system:
            await system.model("PUT", "/control", json={"latency": SECONDS})
            users = int(TURNS * replicas * 1.5)
            await load(system, account="plain", seconds=4, users=users)
            seen = await load(system, account="plain", seconds=seconds, users=users)
    return seen.replied / seen.elapsed


async def measure(seconds: float) -> str:
    """Measure 1, 2 and 4 replicas."""
    rows = []
    first = 0.0
    for replicas in (1, 2, 4):
        rate = await answered(replicas, seconds)
        first = first or rate
        most = TURNS * replicas / SECONDS
        cells = (str(replicas), f"{most:.0f}", f"{rate:.1f}", f"{rate / first:.2f}")
        rows.append(cells)
    return markdown(("replicas of llm", "that the model allows", "answers/s", "to one"), rows)
