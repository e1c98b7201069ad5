"""Print the table: `python -m evals.cache [--near 0.6] [--offer 0.18] [--wrong]`."""

import argparse
import itertools
import sys
import time

from queqiao_common.settings import Cache

from evals.cache.examples import Half, crowd, read
from evals.cache.measure import Result, Stored, measure

CROWDS = (0, 500, 2000, 9936)
HEAD = (
    "| stored | half | rewordings | answered | in the menu | served | wrong answers"
    " | near misses: menu | unrelated: menu |\n|---|---|---|---|---|---|---|---|---|\n"
)


def main() -> None:
    """Measure both halves, alone and among other stored questions."""
    options = _parser().parse_args()
    rules = Cache(near=options.near, offer=options.offer)
    halves = read()
    sys.stdout.write(HEAD)
    for size in CROWDS:
        own = [one.question for half in halves for one in half.questions]
        stored = Stored([*own, *itertools.islice(crowd(), size)], rules)
        for half in halves:
            result = measure(stored, half)
            sys.stdout.write(row(len(own) + size, half, result))
            for asked, answered in result.wrong if options.wrong else ():
                sys.stdout.write(f"    {asked} -> {answered}\n")
        if size == CROWDS[-1]:
            sys.stdout.write(timed(stored, halves))


def row(size: int, half: Half, result: Result) -> str:
    """Write one line of the table."""
    cells = (
        f"{size}",
        half.name,
        f"{result.wordings}",
        _share(result.answered, result.wordings),
        _share(result.offered, result.wordings),
        f"{result.served:.1%}",
        f"{len(result.wrong)} of {result.asked} ({len(result.wrong) / result.asked:.1%})",
        _share(result.near_offered, result.near),
        _share(result.unrelated_offered, result.unrelated),
    )
    return f"| {' | '.join(cells)} |\n"


def timed(stored: Stored, halves: tuple[Half, Half]) -> str:
    """Time a look-up: the search and the decision."""
    took = []
    for half in halves:
        for text in (text for one in half.questions for text in one.wordings):
            began = time.perf_counter()
            stored.ask(text)
            took.append(1000 * (time.perf_counter() - began))
    took.sort()
    middle, late = took[len(took) // 2], took[int(len(took) * 0.95)]
    return f"\nA look-up among 10,000: p50 {middle:.2f} ms, p95 {late:.2f} ms.\n"


def _share(count: int, of: int) -> str:
    return f"{count / of:.1%}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evals.cache")
    parser.add_argument("--near", type=float, default=Cache().near, help="least score to answer")
    parser.add_argument("--offer", type=float, default=Cache().offer, help="least score to offer")
    parser.add_argument("--wrong", action="store_true", help="print the wrong answers")
    return parser


if __name__ == "__main__":
    main()
