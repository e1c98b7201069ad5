"""`docs/adr/README.md`: the index of the decisions, from the head of each."""

import re
from dataclasses import dataclass
from pathlib import Path

from queqiao_cli.docs.shapes import table

TITLE = re.compile(r"# \d{4}: (?P<title>.+)")
STATUS = re.compile(r"Status: (?P<status>[^·]+?)\s*(?:·\s*(?P<date>[0-9-]+).*)?")
FILE = re.compile(r"(?P<number>\d{4})-.+\.md")


@dataclass(frozen=True)
class Decision:
    """The head of an ADR."""

    number: str
    file: str
    title: str
    status: str
    date: str


def page(folder: Path) -> str:
    """Write the index of a folder."""
    found = [
        read(file.name, file.read_text("utf-8"))
        for file in sorted(folder.glob("*.md"))
        if FILE.fullmatch(file.name)
    ]
    rows = [(f"[{one.number}]({one.file})", one.title, one.status, one.date) for one in found]
    index = table(("number", "decision", "status", "date"), rows) if found else ["None yet."]
    return "\n".join(
        [
            "# Decisions",
            "",
            "What a later reader would undo by accident: why it is so, and what was measured.",
            "Generated from the heads of the files by `make docs`.",
            "",
            *index,
            "",
        ]
    )


def read(name: str, text: str) -> Decision:
    """Read the head of an ADR: `# 0001: Title`, then `Status: accepted · 2026-01-31`.

    Raises:
        ValueError: it lacks one of the two.
    """
    lines = text.splitlines()
    title = next(filter(None, map(TITLE.fullmatch, lines)), None)
    status = next(filter(None, map(STATUS.fullmatch, lines)), None)
    if title is None or status is None:
        raise ValueError(f"{name}: needs a line `# 0001: Title` and one `Status: accepted · date`")
    return Decision(
        number=name[:4],
        file=name,
        title=title["title"].strip(),
        status=status["status"],
        date=status["date"] or "",
    )
