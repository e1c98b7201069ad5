#!/usr/bin/env python3
"""Copy a service's own code, and that of our libraries it names: `collect.py SERVICE TARGET`.

Run while an image is built. A service whose pyproject file does not name a library gets none of
its code, so an import that was not declared fails in the image as it would for a stranger.
"""

import re
import shutil
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = re.compile(r"queqiao-([a-z0-9]+)")


def collect(name: str, target: Path, seen: set[str]) -> None:
    """Copy one package and those of ours that it depends on."""
    if name in seen:
        return
    seen.add(name)
    [folder] = [file.parent for file in ROOT.glob(f"*/{name}/pyproject.toml")]
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(folder / "src", target, ignore=ignore, dirs_exist_ok=True)
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    for need in project.get("dependencies", ()):
        if ours := OURS.match(need):
            collect(ours[1], target, seen)


if __name__ == "__main__":
    collect(sys.argv[1], Path(sys.argv[2]), set())
