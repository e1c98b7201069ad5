"""The brokers that the tests share, and a line in the report's head that says which they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.brokers import Broker, describe, make_broker, started


def pytest_report_header() -> str:
    """Say what stands behind the integration tests: a reader must not have to guess."""
    return describe()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Give the one broker that all tests share: do not hurt it, and expect others' streams."""
    yield from started(make_broker(tmp_path_factory.mktemp("broker")))


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """Give a broker of the test's own, to kill and restart at will."""
    yield from started(make_broker(tmp_path))
