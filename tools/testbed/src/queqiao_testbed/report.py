"""The chaos run as a table, for people."""

from collections import Counter
from collections.abc import Iterable

from queqiao_common.topology import SERVICES

from queqiao_testbed.chaos import Form
from queqiao_testbed.clocks import PACKAGE, find_library
from queqiao_testbed.schedule import service_of
from queqiao_testbed.verdict import BAD_ANSWER, NO_ANSWER, SENDER_GONE, Report

Row = tuple[object, ...]


def table(report: Report, form: Form, *, seed: int) -> str:
    """Return what was done and what was found, as Markdown."""
    head = (
        f"Seed {seed}: {form.rate:.0f} messages/s for {form.seconds:.0f} s, "
        f"{len(report.faults)} faults, two replicas of each service."
    )
    if find_library() is None:
        head += f" Clocks were left alone: {PACKAGE} is not installed."
    done = _rows("| fault | times | to |\n|---|---:|---|", _done(report))
    seen = _rows("| what users saw | number |\n|---|---:|", _seen(report))
    return f"{head}\n\n{done}\n\n{seen}"


def _done(report: Report) -> Iterable[Row]:
    times = Counter(one.kind for one in report.faults)
    for kind, count in sorted(times.items()):
        hit = {service_of(one.target) for one in report.faults if one.kind == kind}
        yield kind, count, ", ".join(service for service in SERVICES if service in hit)


def _seen(report: Report) -> Iterable[Row]:
    found = report.findings
    causes = Counter(one.cause for one in report.doubts)
    yield "messages", found.questions
    yield "answered", found.answered
    yield "never acknowledged (WeChat told the user so itself)", found.refused
    yield "of these, the rest of the answer was shown all the same", len(found.headless)
    yield "answered by the apology or the request for patience", found.excused
    yield "lost", len(found.lost)
    yield "torn (a part of the answer is missing)", len(found.torn)
    yield "processes of egress that were killed", len(report.killed)
    yield "counted as ambiguous by egress: its sender was killed", causes[SENDER_GONE]
    yield "counted as ambiguous by egress: WeChat's answer was lost", causes[NO_ANSWER]
    yield "counted as ambiguous by egress: HTTP 502 instead of an answer", causes[BAD_ANSWER]
    yield "of these, without such a fault", len(report.unexplained_doubts)
    yield "shown twice, and counted: its sender was killed", found.orphaned
    yield "shown twice, and counted: WeChat's answer was lost", found.doubted - found.orphaned
    yield "doubled otherwise", len(found.doubled)
    yield "out of order (of answers, or of the parts of one)", len(found.swapped + found.jumbled)
    yield "crossed (another user's answer)", len(found.crossed)
    yield (
        "asked when all was well again / not answered",
        (f"{len(report.final)} / {len(report.final & {*found.unanswered})}"),
    )
    yield "poison events published / not buried", f"{report.poison} / {len(report.poison_kept)}"
    yield "other events buried", sum(report.buried.values())
    yield "processes that ended unasked, or not cleanly", len(report.ends)
    yield "longest time from a question to its answer", f"{found.longest:.1f} s ({found.slowest})"


def _rows(head: str, rows: Iterable[Row]) -> str:
    return "\n".join([head, *(f"| {' | '.join(map(str, row))} |" for row in rows)])
