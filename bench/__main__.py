"""Measure: `python -m bench [what ...] [--seconds 10] [--soak MINUTES] [--write FILE]`.

Without a name: overhead, scaling, streaming and restart (some four minutes). `steps` is a matter of
seconds; `memory`, `crowd` and `persistence` take minutes of their own, and so does `--soak`. Every
measurement has a broker of its own with `sync_interval: always`; fakes and load share the machine
with what they measure.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import crowd, memory, overhead, persistence, restart, scaling, steps, streaming
from bench.machine import description

Measure = Callable[[float], Awaitable[str]]

MEASURES: dict[str, tuple[str, Measure]] = {
    "overhead": ("Overhead, and the limit beside it", overhead.measure),
    "steps": ("Where one message spends its time", steps.measure),
    "scaling": ("Throughput by replicas of llm, with a model of 2 s", scaling.measure),
    "streaming": ("First and last words of a long answer", streaming.measure),
    "restart": ("A rolling restart under load", restart.measure),
    "memory": ("Memory and disk by conversations", memory.measure),
    "persistence": ("The relay, its stream stored at once or later", persistence.measure),
    "crowd": ("5,000 users within one minute, a model of 3 s", crowd.measure),
}
USUAL = ("overhead", "scaling", "streaming", "restart")


async def main() -> None:
    """Measure, print each table as it is done, and write them where asked."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "what", nargs="*", choices=[*MEASURES, "all", []], help="default: the usual"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--soak", type=float, default=0.0, help="minutes of watching the memory")
    parser.add_argument("--write", type=Path, help="a Markdown file to write the tables to")
    given = parser.parse_args()
    names = tuple(MEASURES) if "all" in given.what else tuple(given.what) or USUAL
    chosen = [MEASURES[name] for name in names] if given.what or not given.soak else []
    if given.soak:
        chosen.append(("Memory over time", lambda _: memory.soak(given.soak)))
    report = f"Measured on {datetime.now(UTC):%Y-%m-%d}. {description()}\n"
    sys.stdout.write(report)
    for title, measure in chosen:
        part = f"\n## {title}\n\n{await measure(given.seconds)}"
        sys.stdout.write(part)
        sys.stdout.flush()
        report += part
    if given.write:
        given.write.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    uvloop.run(main())
