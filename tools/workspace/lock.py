#!/usr/bin/env python3
"""Write the hash-pinned requirement files: `python tools/workspace/lock.py UV [--upgrade]`.

The sources are the packages' pyproject files. Our own packages never reach the resolver, so a
stranger's package of the same name cannot be installed in their place. The files name no registry:
whoever installs from them uses the registry or mirror of their own machine.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
# What becomes a container image.
IMAGES = ("ingress", "moderation", "context", "llm", "egress", "simulator", "localmodel")
# For tests and measurements alone.
TESTBED = "testbed"
# Apart from the rest: heavy, and a machine without a wheel for it can still run everything else.
MODEL = "localmodel"
MODEL_ENGINE = re.compile(r"xllamacpp\b")
OURS = re.compile(r"queqiao-([a-z0-9]+)")


@dataclass(frozen=True)
class Package:
    """One package of the workspace, as its pyproject file describes it."""

    needs: tuple[str, ...]
    extras: tuple[str, ...]
    build: tuple[str, ...]


def read_package(path: Path) -> Package:
    """Read one pyproject file."""
    document = tomllib.loads(path.read_text("utf-8"))
    project = document["project"]
    extras = [need for group in project.get("optional-dependencies", {}).values() for need in group]
    return Package(
        needs=tuple(project.get("dependencies", ())),
        extras=tuple(extras),
        build=tuple(document["build-system"]["requires"]),
    )


def foreign_needs(names: Iterable[str], workspace: dict[str, Package]) -> set[str]:
    """Collect what the named packages need from outside, through our own packages too.

    Raises:
        KeyError: a package names a `queqiao-...` that the workspace does not have.
    """
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for need in workspace[name].needs:
            ours = OURS.match(need)
            if ours is None:
                found.add(need)
            else:
                waiting.append(ours[1])
    return found


def plan(workspace: dict[str, Package], lists: dict[str, set[str]]) -> dict[str, set[str]]:
    """Name every file with what it must hold; the first pins the versions of all that follow."""
    build = {need for package in workspace.values() for need in package.build}
    everything = foreign_needs(workspace, workspace)
    engine = {need for need in everything if MODEL_ENGINE.match(need)}
    run = foreign_needs([name for name in workspace if name != TESTBED], workspace)
    return {
        "dev": (everything | lists["dev"]) - engine,
        "run": run - engine,
        "model": engine | set(workspace[MODEL].extras),
        "bootstrap": lists["bootstrap"] | build,
        "npm": lists["npm"],
        **{name: foreign_needs([name], workspace) - engine for name in IMAGES},
    }


def compile_file(uv: str, name: str, needs: set[str], upgrade: bool) -> None:
    """Resolve one file for every platform and every Python from 3.11."""
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--fork-strategy", "fewest", "--generate-hashes", "--no-emit-index-url"]
    command += ["--custom-compile-command", "make lock"]
    command += ["--upgrade"] if upgrade else []
    command += [] if name == "dev" else ["--constraint", "requirements/dev.txt"]
    command += ["--output-file", f"requirements/{name}.txt", "-"]
    wanted = "\n".join(sorted(needs))
    subprocess.run(
        command, cwd=ROOT, input=wanted, text=True, check=True, stdout=subprocess.DEVNULL
    )


def read_names(path: Path) -> set[str]:
    """Read a list of requirements, one a line."""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return {line for line in lines if line}


def main() -> None:
    """Write all files, or none of the later ones once one cannot be resolved."""
    parser = argparse.ArgumentParser(description="Write the hash-pinned requirement files.")
    parser.add_argument("uv", help="the uv to resolve with")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions where possible")
    options = parser.parse_args()
    files = sorted(ROOT.glob("*/*/pyproject.toml"))
    workspace = {path.parent.name: read_package(path) for path in files}
    lists = {path.stem: read_names(path) for path in REQUIREMENTS.glob("*.in")}
    for name, needs in plan(workspace, lists).items():
        compile_file(options.uv, name, needs, options.upgrade)
        sys.stdout.write(f"requirements/{name}.txt\n")


if __name__ == "__main__":
    main()
