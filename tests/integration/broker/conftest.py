"""What the tests of the broker's troubles share."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from queqiao_common.answers import StreamFull
from queqiao_common.bus import Bus, connect
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually
from queqiao_testbed.brokers import Broker
from queqiao_testbed.processes import Child
from queqiao_testbed.system import System

HERE = Path(__file__).parent


@pytest.fixture
async def bus(own_broker: Broker) -> AsyncIterator[Bus]:
    bus = await connect(Nats(url=own_broker.url), "test")
    yield bus
    await bus.close()


@pytest.fixture
def answered() -> Callable[..., Awaitable[str]]:
    """Wait until a user reads a text."""

    async def wait(system: System, account: str, user: str, text: str, within: float = 60) -> str:
        async def there() -> str | None:
            replies = await system.replies(account, user)
            return next((one for one in replies if text in one), None)

        return str(await eventually(there, within=within))

    return wait


@pytest.fixture
def variant() -> Callable[..., Child]:
    """Describe a replica that runs a script of this folder instead of the service's module."""

    def describe(system: System, url: str, service: str, *argv: str, number: int = 0) -> Child:
        variables = {
            "QUEQIAO_CONFIG": str(system.folder / "queqiao.toml"),
            "QUEQIAO_NATS_URL": url,
            "QUEQIAO_HTTP_PORT": str(system.ports.services[service][number]),
            "QUEQIAO_HTTP_HOST": "127.0.0.1",
            "QUEQIAO_LOG_LEVEL": "DEBUG",
        }
        script, *rest = argv
        log = system.folder / f"{service}-{number}.log"
        return Child(
            f"{service}-{number}", [str(HERE / script), *rest], log=log, variables=variables
        )

    return describe


@pytest.fixture
def kept_alive() -> Callable[[Child], contextlib.AbstractAsyncContextManager[None]]:
    """Start a process whenever it has ended, as an orchestrator would."""

    @contextlib.asynccontextmanager
    async def alive(child: Child) -> AsyncIterator[None]:
        async def supervise() -> None:
            while True:
                if not child.pid:
                    child.start()
                await asyncio.sleep(0.05)

        supervising = asyncio.create_task(supervise())
        try:
            yield
        finally:
            supervising.cancel()
            child.kill()

    return alive


@pytest.fixture
def fill(bus: Bus) -> Callable[[str], Awaitable[None]]:
    """Fill a stream to its last byte, under a subject that nobody reads."""

    async def until_full(subject: str) -> None:
        numbers = itertools.count()
        for size in (60_000, 6_000, 600, 60, 1):
            is_full = False
            while not is_full:
                try:
                    await bus.publish(f"{subject}.{next(numbers)}", b"x" * size, deadline=1.0)
                except StreamFull:
                    is_full = True
                except BrokerUnavailable:  # this machine needed longer
                    continue

    return until_full


class _State(msgspec.Struct):
    messages: int


class _Info(msgspec.Struct):
    state: _State


@pytest.fixture
def count(bus: Bus) -> Callable[[str], Awaitable[int]]:
    """Count what a stream holds."""

    async def stored(stream: str) -> int:
        answer = await bus.api(f"STREAM.INFO.{stream}")
        return msgspec.json.decode(answer, type=_Info).state.messages

    return stored
