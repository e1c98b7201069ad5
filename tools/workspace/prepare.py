#!/usr/bin/env python3
"""Make the virtual environment ready: `python3 tools/workspace/prepare.py .venv run`.

Needs Python 3.11 and nothing else. What is installed is stamped with the checksum of what asked
for it, so that a second call only compares checksums. uv does the work; where it cannot, pip does.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 -- this is what tells the user of an old Python
    _found = ".".join(str(part) for part in sys.version_info[:2])
    sys.exit(
        f"Queqiao needs Python 3.11 or newer, and this is {_found}. "
        "Name another one: make PYTHON=python3.12 ..."
    )

import argparse
import hashlib
import importlib.util
import json
import os
import subprocess
import time
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAMP = "queqiao.json"


class InstallError(Exception):
    """A step that neither uv nor pip could do."""


def checksum(files: list[Path]) -> str:
    """Identify the contents and the places of some files."""
    parts = [str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() for file in files]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def packages() -> list[Path]:
    """Find the workspace's own packages."""
    return sorted(file.parent for file in ROOT.glob("*/*/pyproject.toml"))


class Environment:
    """A virtual environment and the stamps of what is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.python = path / "bin" / "python"
        self.stamps: dict[str, str] = {}
        if self.python.exists() and (path / STAMP).exists():
            self.stamps = json.loads((path / STAMP).read_text("utf-8"))

    def bring(self, name: str, wanted: str, install: Callable[[], None]) -> None:
        """Run one step, unless its stamp says that it is done."""
        if self.stamps.get(name) == wanted:
            return
        started = time.monotonic()
        sys.stdout.write(f"setting up {self.path.name}: {name} ... ")
        sys.stdout.flush()
        try:
            install()
        except InstallError:
            sys.stdout.write("failed\n")
            raise
        sys.stdout.write(f"{time.monotonic() - started:.1f} s\n")
        self.stamps[name] = wanted
        (self.path / STAMP).write_text(json.dumps(self.stamps, indent=1) + "\n", "utf-8")

    def create(self) -> None:
        """Create the environment itself."""
        if importlib.util.find_spec("ensurepip") is None:
            raise InstallError(
                "this Python has no venv; on Debian and Ubuntu: apt install python3-venv"
            )
        if not self.python.exists():
            venv.create(self.path, clear=True, symlinks=True, with_pip=True)

    def pip(self, *arguments: str) -> None:
        """Install with pip, quietly unless it fails."""
        command = [str(self.python), "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
        if subprocess.run([*command, *arguments], cwd=ROOT, check=False).returncode:
            raise InstallError(f"pip could not install {' '.join(arguments)}")

    def install(self, *arguments: str) -> None:
        """Install with uv, or with pip where uv is missing or fails."""
        command = [
            str(self.python),
            "-m",
            "uv",
            "pip",
            "install",
            "-q",
            "--python",
            str(self.python),
        ]
        done = subprocess.run(
            [*command, *arguments], cwd=ROOT, check=False, env=self.mirror(), capture_output=True
        )
        if done.returncode:
            self.pip(*arguments)

    def mirror(self) -> dict[str, str]:
        """Tell uv, which does not read pip's settings, of the mirror that is set there."""
        show = [str(self.python), "-m", "pip", "config", "get", "global.index-url"]
        answer = subprocess.run(show, check=False, capture_output=True, text=True).stdout.strip()
        index = os.environ.get("PIP_INDEX_URL", answer)
        return {"UV_DEFAULT_INDEX": index, **os.environ} if index else dict(os.environ)

    def bring_requirements(self, name: str) -> None:
        """Install one requirement file, every package checked against its hash."""
        file = ROOT / "requirements" / f"{name}.txt"
        arguments = ("--require-hashes", "-r", str(file.relative_to(ROOT)))
        installer = self.pip if name == "bootstrap" else self.install
        self.bring(name, checksum([file]), lambda: installer(*arguments))

    def bring_optional(self, name: str) -> None:
        """Install one requirement file if this machine can, and say so if it cannot."""
        try:
            self.bring_requirements(name)
        except InstallError as error:
            sys.stdout.write(f"going on without {name}: {error}\n")

    def bring_workspace(self) -> None:
        """Install our own packages in place, without the network."""
        folders = packages()
        arguments = ["--no-deps", "--no-build-isolation"]
        for folder in folders:
            arguments += ["-e", f"./{folder.relative_to(ROOT)}"]
        wanted = checksum([folder / "pyproject.toml" for folder in folders])
        self.bring("workspace", wanted, lambda: self.install(*arguments))


def main() -> None:
    """Bring the environment up to what the arguments ask for."""
    parser = argparse.ArgumentParser(description="Make the virtual environment ready.")
    parser.add_argument("environment", type=Path, help="its folder")
    parser.add_argument("requirements", nargs="*", help="files of requirements/ that it must hold")
    parser.add_argument("--optional", action="append", default=[], help="files it should hold")
    options = parser.parse_args()
    environment = Environment(options.environment.absolute())
    try:
        environment.bring("environment", "1", environment.create)
        environment.bring_requirements("bootstrap")
        for name in options.requirements:
            environment.bring_requirements(name)
        if options.requirements:
            environment.bring_workspace()
        for name in options.optional:
            environment.bring_optional(name)
    except InstallError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
