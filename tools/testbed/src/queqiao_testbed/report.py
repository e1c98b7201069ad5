"""The chaos run as a table, for people."""

from collections import Counter
from collections.abc import Iterable

from queqiao_testbed.chaos import Report
from queqiao_testbed.clocks import PACKAGE
from queqiao_testbed.faults import CLOCKS

Row = tuple[str, object]


def table(report: Report) -> str:
    """Return what was done and what was found, as Markdown."""
    faults = Counter(one.kind for one in report.schedule)
    done = [(kind, count) for kind, count in sorted(faults.items())]
    form = report.form
    head = (
        f"Seed {report.seed}: {form.rate:.0f} messages/s for {form.seconds:.0f} s, "
        f"{len(report.schedule)} faults, two replicas of each service."
    )
    if not any(kind in CLOCKS for kind in form.kinds):
        head += f" Clocks were left alone: {PACKAGE} is not installed."
    seen = _rows(("what users saw", "number"), _seen(report))
    return "\n\n".join((head, _rows(("fault", "times"), done), seen))


def _seen(report: Report) -> Iterable[Row]:
    found = report.findings
    yield "messages", found.questions
    yield "answered", found.answered
    yield "never acknowledged (WeChat told the user so itself)", found.refused
    yield "answered by the apology or the request for patience", found.excused
    yield "lost", len(found.lost)
    yield "torn (a part of the answer is missing)", len(found.torn)
    yield "shown twice, counted as ambiguous by egress", found.doubted
    yield "doubled otherwise", len(found.doubled)
    yield "out of order (of answers, or of the parts of one)", len(found.swapped + found.jumbled)
    yield "crossed (another user's answer)", len(found.crossed)
    yield "poison events published / buried", f"{report.poison} / {report.poison_buried}"
    yield "other events buried", report.buried.total()
    yield "processes that ended unasked", sum(report.exits.values())
    yield "longest time from a question to its answer", f"{found.longest:.1f} s ({found.slowest})"


def _rows(head: tuple[str, str], rows: Iterable[Row]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---:|"]
    lines += [f"| {name} | {value} |" for name, value in rows]
    return "\n".join(lines)
