"""A real broker for the tests that need one, and replicas of the whole service around it."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from queqiao_common.runtime import open_runtime
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually
from queqiao_ingress.__main__ import main
from queqiao_testbed.brokers import make_broker, started
from queqiao_testbed.ports import free_ports


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """One for all tests: each uses messages of its own."""
    yield from started(make_broker(tmp_path_factory.mktemp("broker"), "process"))


@pytest.fixture
def own_broker(tmp_path):
    """One that a test may hurt."""
    yield from started(make_broker(tmp_path, "process"))


@pytest.fixture
async def start_replica(monkeypatch):
    """Start ingress as its process does, with its own connection and port."""
    async with AsyncExitStack() as replicas:

        async def start(config, url) -> httpx.AsyncClient:
            return await replicas.enter_async_context(_replica(monkeypatch, config, url))

        yield start


@asynccontextmanager
async def _replica(monkeypatch, config, url):
    port, _ = free_ports()
    monkeypatch.setenv("QUEQIAO_HTTP_HOST", "127.0.0.1")
    monkeypatch.setenv("QUEQIAO_HTTP_PORT", str(port))
    async with open_runtime("ingress", config(Nats(url=url))) as runtime:
        running = asyncio.create_task(main(runtime))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:

            async def is_ready() -> bool:
                try:
                    return (await client.get("/readyz")).is_success
                except httpx.TransportError:
                    return False

            await eventually(is_ready)
            yield client
        runtime.stopping.set()
        await running
