"""One system for all crashes: each has a user of its own, and leaves everything running."""

from collections.abc import AsyncIterator

import pytest
from queqiao_testbed import brokers
from queqiao_testbed.crashes import Stage, staged


@pytest.fixture(scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    broker = brokers.make_broker(tmp_path_factory.mktemp("crash-broker"))
    for started in brokers.started(broker):
        folder = tmp_path_factory.mktemp("crashes")
        async with staged(folder, broker_url=started.url) as stage:
            yield stage
