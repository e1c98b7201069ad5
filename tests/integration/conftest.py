"""The whole system for the integration suite: two replicas of everything by default."""

from collections.abc import AsyncIterator, Iterator

import pytest
from queqiao_testbed import brokers
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import System, running

NO_LIMIT = {"moderation": {"messages_per_minute": 0}, "ingress": {"publish_timeout": 3.5}}
"""And a broker that a busy machine keeps waiting for a second is none that is away."""


@pytest.fixture(scope="session")
def system_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[brokers.Broker]:
    """The broker of the shared system: a container where one can be had."""
    yield from brokers.started(brokers.make_broker(tmp_path_factory.mktemp("system-broker")))


@pytest.fixture(scope="session")
async def system(
    system_broker: brokers.Broker, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """Two replicas of every service, for tests that break nothing; users are a test's own."""
    options = Options(settings=NO_LIMIT, variables={"QUEQIAO_LOG_LEVEL": "DEBUG"})
    folder = tmp_path_factory.mktemp("system")
    async with running(
        folder, broker_url=system_broker.url, replicas=2, options=options
    ) as running_system:
        yield running_system


@pytest.fixture
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[brokers.Broker]:
    """A broker of the test's own, to be broken."""
    yield from brokers.started(brokers.make_broker(tmp_path_factory.mktemp("own-broker")))
