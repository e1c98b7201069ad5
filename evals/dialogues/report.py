"""The report of a run, as Markdown. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

from msgspec import Struct

from evals.dialogues.rules import Finding

MARKS = {True: "✓", False: "✗", None: "–"}


class Exchange(Struct, frozen=True):
    """One turn as it was: what was said, what was answered, what was found."""

    said: str
    answer: str
    seconds: float
    findings: tuple[Finding, ...] = ()


class Held(Struct, frozen=True):
    """One dialogue as it was."""

    name: str
    exchanges: tuple[Exchange, ...]

    @property
    def findings(self) -> list[Finding]:
        """All that was found."""
        return [one for exchange in self.exchanges for one in exchange.findings]


def render(held: Mapping[str, Sequence[Held]], *, models: str, judge: str) -> str:
    """Return the whole report."""
    lines = [
        "# Dialogues of the four scenarios",
        "",
        f"Answered by: {models}. Judged by: rules, and {judge}.",
        "",
        "| scenario | dialogues | turns | checks met | not met | not judged | median answer |",
        "|---|---|---|---|---|---|---|",
        *(_row(name, dialogues) for name, dialogues in held.items()),
    ]
    for name, dialogues in held.items():
        lines += ["", f"## {name}"]
        for dialogue in dialogues:
            lines += ["", *_dialogue(dialogue)]
    return "\n".join(lines) + "\n"


def _row(name: str, dialogues: Sequence[Held]) -> str:
    found = [one.is_so for dialogue in dialogues for one in dialogue.findings]
    seconds = [one.seconds for dialogue in dialogues for one in dialogue.exchanges]
    cells = (
        name,
        len(dialogues),
        len(seconds),
        found.count(True),
        found.count(False),
        found.count(None),
        f"{median(seconds):.1f} s" if seconds else "–",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _dialogue(dialogue: Held) -> Iterator[str]:
    found = [one.is_so for one in dialogue.findings]
    yield f"### {dialogue.name} ({found.count(True)} of {len(found)})"
    for exchange in dialogue.exchanges:
        yield ""
        yield f"**用户**：{exchange.said}"
        yield ""
        yield from (f"> {line}" for line in exchange.answer.splitlines() or ["(nothing)"])
        yield ""
        yield from _findings(exchange.findings)
        yield f"- {exchange.seconds:.1f} s, {len(exchange.answer)} characters"


def _findings(findings: Iterable[Finding]) -> Iterator[str]:
    for one in findings:
        why = f" ({one.why})" if one.why else ""
        yield f"- {MARKS[one.is_so]} {one.check}{why}"
