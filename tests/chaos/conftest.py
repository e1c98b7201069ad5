"""Seeds and lengths of the chaos runs come from the environment, and are printed."""

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from queqiao_common.settings import environment
from queqiao_testbed.brokers import ProcessBroker, started
from queqiao_testbed.chaos import LONG, SHORT, Form

IS_LONG = environment("QUEQIAO_CHAOS_LONG") == "1"


@pytest.fixture
def seed() -> int:
    """Set `QUEQIAO_CHAOS_SEED` to what a failed run printed, to see its schedule again."""
    return int(environment("QUEQIAO_CHAOS_SEED") or random.randrange(1_000_000))


@pytest.fixture
def form() -> Form:
    """The short form, or the long one (`QUEQIAO_CHAOS_LONG=1`), or one's own."""
    form = LONG if IS_LONG else SHORT
    messages = int(environment("QUEQIAO_CHAOS_MESSAGES") or form.messages)
    seconds = float(environment("QUEQIAO_CHAOS_SECONDS") or messages / form.rate)
    faults = max(1, round(form.faults * seconds / form.seconds))
    return Form(messages=messages, seconds=seconds, faults=faults, kinds=form.kinds)


@pytest.fixture(params=["resend", "drop"] if IS_LONG else ["resend"])
def unanswered(request: pytest.FixtureRequest) -> str:
    """What is done with a part that WeChat said nothing to; the short form has the default."""
    return str(request.param)


@pytest.fixture
def one_broker() -> Callable[[Path], contextlib.AbstractContextManager[ProcessBroker]]:
    """Run a broker that keeps its data in a folder: a process, as it is also to be paused."""

    @contextlib.contextmanager
    def run(folder: Path) -> Iterator[ProcessBroker]:
        own = folder / "broker"
        own.mkdir()
        yield from started(ProcessBroker(own))

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a socket that the test bed leaves open be no verdict on the product."""
    for item in items:
        if item.get_closest_marker("chaos"):
            for name in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"default::{name}"))
