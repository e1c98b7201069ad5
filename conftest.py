"""Shared by every test of the workspace."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from queqiao_testbed import brokers

# A busy machine is no reason to fail: what has to be fast is measured by a benchmark.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Every service runs on asyncio, so the tests do too."""
    return "asyncio"


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[brokers.Broker]:
    """One NATS for all tests that do not hurt it; they keep to keys of their own."""
    yield from brokers.started(
        brokers.make_broker(tmp_path_factory.mktemp("shared-broker"), "process")
    )


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[brokers.Broker]:
    """A NATS of the test's own, to be killed and restarted."""
    yield from brokers.started(brokers.make_broker(tmp_path_factory.mktemp("broker"), "process"))
