"""Write the generated documents: `python -m queqiao_cli.docs [--check]`."""

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

from queqiao_cli.docs import asyncapi, decisions, events, settings
from queqiao_cli.terminal import complain, say

HINT = 12


def pages(root: Path) -> dict[Path, str]:
    """Write every document of a repository."""
    docs = root / "docs"
    return {
        docs / "events.md": events.page(),
        docs / "asyncapi.yaml": asyncapi.page(),
        docs / "settings.md": settings.page(),
        docs / "adr" / "README.md": decisions.page(docs / "adr"),
    }


def stale(root: Path) -> Iterator[str]:
    """Name each document that is not what the code says, with the first lines that differ."""
    for file, text in pages(root).items():
        committed = file.read_text("utf-8") if file.exists() else ""
        if committed != text:
            lines = difflib.unified_diff(
                committed.splitlines(),
                text.splitlines(),
                "committed",
                "generated",
                lineterm="",
                n=0,
            )
            hint = [f"    {line}" for _, line in zip(range(HINT), lines, strict=False)]
            yield "\n".join([f"{file.relative_to(root)} is stale: make docs", *hint])


def main() -> None:
    """Write the documents, or with `--check` only compare them: exit code 1 when one is stale."""
    parser = argparse.ArgumentParser(prog="python -m queqiao_cli.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when stale")
    parser.add_argument("--root", type=Path, default=Path(), help="the repository")
    options = parser.parse_args()
    if options.check:
        found = list(stale(options.root))
        complain(*found)
        sys.exit(1 if found else 0)
    for file, text in pages(options.root).items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        say(str(file))


if __name__ == "__main__":
    main()
