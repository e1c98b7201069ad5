"""A lesson ends: 5,000 users write within one minute, and the model takes 3 s for each."""

from queqiao_testbed.configuration import Options
from queqiao_testbed.ports import free_ports
from queqiao_testbed.system import running

from bench.machine import NO_LIMIT, load, markdown, stage, within

USERS = 5000
SPAN = 60.0
MODEL = 3.0
MARKS = (5, 10, 15, 30, 60)


async def share(replicas: int) -> list[float]:
    """Return which shares of the users were answered within the marks."""
    [port] = free_ports(1)
    options = Options(
        api_base=f"http://127.0.0.1:{port}",
        counts={"llm": replicas},
        settings={"moderation": NO_LIMIT},
    )
    with stage() as here:
        async with running(here.folder, broker_url=here.url, options=options) as system:
            await system.model("PUT", "/control", json={"latency": MODEL})
            seen = await load(
                system,
                account="plain",
                seconds=SPAN,
                rate=USERS / SPAN,
                users=USERS,
                sink=port,
                linger=70,
            )
    return [within(seen.firsts, mark, seen.sent) for mark in MARKS]


async def measure(seconds: float) -> str:
    """Measure 1, 2 and 4 replicas of llm, each with 64 turns at once; `seconds` is not asked."""
    del seconds
    rows = []
    for replicas in (1, 2, 4):
        shares = await share(replicas)
        rows.append((str(replicas), *(f"{100 * one:.1f} %" for one in shares)))
    return markdown(("replicas of llm", *(f"within {mark} s" for mark in MARKS)), rows)
