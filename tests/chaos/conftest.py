"""Seeds and lengths of the chaos runs come from the environment, and are printed."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from queqiao_common.settings import environment
from queqiao_testbed.brokers import ProcessBroker, started
from queqiao_testbed.chaos import LONG, SHORT, Form


@pytest.fixture
def seed() -> int:
    """Set `QUEQIAO_CHAOS_SEED` to what a failed run printed, to see its schedule again."""
    return int(environment("QUEQIAO_CHAOS_SEED") or random.randrange(1_000_000))


@pytest.fixture
def form() -> Form:
    """The short form, or the long one (`QUEQIAO_CHAOS_LONG=1`), or one's own."""
    form = LONG if environment("QUEQIAO_CHAOS_LONG") == "1" else SHORT
    messages = int(environment("QUEQIAO_CHAOS_MESSAGES") or form.messages)
    seconds = float(environment("QUEQIAO_CHAOS_SECONDS") or messages / form.rate)
    faults = max(1, round(form.faults * seconds / form.seconds))
    return Form(messages=messages, seconds=seconds, faults=faults, kinds=form.kinds)


@pytest.fixture
def chaos_broker(tmp_path: Path) -> Iterator[ProcessBroker]:
    """A process, as it is also to be paused."""
    folder = tmp_path / "broker"
    folder.mkdir()
    yield from started(ProcessBroker(folder))
