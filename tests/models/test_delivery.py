"""The Promela model of delivery, walked through by Spin: every interleaving, not some of them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[2] / "docs" / "models" / "delivery.pml"
TOOLS = ("spin", "gcc")
STATES = re.compile(r"(\d+) states, stored")
ERRORS = re.compile(r"errors: (\d+)")
WITHIN = 300.0
"""Seconds for one walk on a busy machine; a free one takes three."""

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason="needs spin and gcc: apt-get install spin gcc"
)


def walked(folder: Path, *definitions: str) -> tuple[int, int]:
    """Walk through the model; returns how many states it has, and how many errors."""

    def run(*argv: str) -> str:
        done = subprocess.run(
            argv, cwd=folder, check=True, capture_output=True, text=True, timeout=WITHIN
        )
        return done.stdout

    run("spin", *definitions, "-a", os.fspath(MODEL))
    run("gcc", "-O2", "-DSAFETY", "-o", "pan", "pan.c")
    report = run(os.fspath(folder / "pan"), "-m100000")
    states, errors = STATES.search(report), ERRORS.search(report)
    assert states is not None, report
    assert errors is not None, report
    return int(states[1]), int(errors[1])


def test_a_reply_is_shown_once_and_once_more_only_where_it_was_in_doubt(tmp_path):
    states, errors = walked(tmp_path, "-DWITHDRAW")

    assert errors == 0
    assert states > 100_000, "the model has lost most of its states"


def test_the_model_finds_the_error_that_it_was_made_for(tmp_path):
    """An offer that the next attempt did not withdraw: a user was answered twice."""
    _, errors = walked(tmp_path)

    assert errors > 0
