"""Run them and write the report: `python -m evals.dialogues [--config FILE] [--out report.md]`."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from msgspec import structs
from queqiao_common.settings import Model, load
from queqiao_testbed import brokers

from evals.dialogues.holding import hold
from evals.dialogues.judge import Judge
from evals.dialogues.reading import Scenario, read
from evals.dialogues.report import Held, render
from evals.dialogues.stage import Models, models_of, stage


async def run(
    scenarios: dict[str, Scenario], models: Models, judge: Model | None, folder: Path
) -> dict[str, list[Held]]:
    """Hold all dialogues, on a broker and with processes of their own."""
    held: dict[str, list[Held]] = {}
    with _broker(folder / "broker") as broker:
        place = stage(folder, broker_url=broker.url, scenarios=scenarios.values(), models=models)
        async with httpx.AsyncClient() as http, place as set_up:
            for name, scenario in scenarios.items():
                held[name] = await hold(set_up, Judge(http, judge), name, scenario)
                sys.stderr.write(f"{name}: {len(held[name])} dialogues held\n")
    return held


@contextmanager
def _broker(folder: Path) -> Iterator[brokers.Broker]:
    folder.mkdir()
    yield from brokers.started(brokers.make_broker(folder, "process"))


def judge_of(config: Path | None, name: str) -> Model | None:
    """Return the model that judges.

    Raises:
        SystemExit: the configuration has none of this id.
    """
    if not name:
        return None
    known = load(config).models if config else ()
    found = [one for one in known if one.id == name]
    if not found:
        raise SystemExit(f"--judge {name}: the configuration has no model of this id")
    return found[0]


def main() -> None:
    """Run, and write the report."""
    options = _parser().parse_args()
    models = models_of(options.config)
    judge = judge_of(options.config, options.judge)
    scenarios = {
        name: structs.replace(one, dialogues=one.dialogues[: options.limit])
        for name, one in read(*options.scenario).items()
    }
    with tempfile.TemporaryDirectory(prefix="queqiao-evals-") as folder:
        held = asyncio.run(run(scenarios, models, judge, Path(folder)))
    by = f"the model {judge.id}" if judge else "nobody (criteria are not judged)"
    text = render(held, models=models.names, judge=by)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evals.dialogues")
    parser.add_argument(
        "--config", type=Path, help="whose models answer; default: the fake one, which only runs"
    )
    parser.add_argument("--out", type=Path, help="the report; default: standard output")
    parser.add_argument("--scenario", action="append", default=[], help="may be repeated")
    parser.add_argument("--judge", default="", help="id of the model that judges the criteria")
    parser.add_argument("--limit", type=int, help="dialogues of each scenario at most")
    return parser


if __name__ == "__main__":
    main()
