"""The network between replicas and the broker, in a thread of its own.

The test bed's loop is busy with users, faults and transcripts; what it does must not look to the
services like a slow network.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from queqiao_testbed.proxy import Proxy

T = TypeVar("T")


class Way:
    """One replica's way to the broker: a proxy that lives in the network's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, proxy: Proxy) -> None:
        self._loop = loop
        self._proxy = proxy
        self.url = proxy.url

    def cut(self) -> None:
        """Reset every connection, and every new one."""
        self._loop.call_soon_threadsafe(self._proxy.cut)

    def freeze(self) -> None:
        """Carry nothing, and tell nobody."""
        self._loop.call_soon_threadsafe(self._proxy.freeze)

    def slow(self, *, latency: float, jitter: float) -> None:
        """Carry everything `latency` to `latency + jitter` seconds late."""
        self._loop.call_soon_threadsafe(self._proxy.slow, latency, jitter)

    def heal(self) -> None:
        """Carry everything again, at once."""
        self._loop.call_soon_threadsafe(self._proxy.heal)


@contextlib.asynccontextmanager
async def network(names: Iterable[str], target: str) -> AsyncIterator[Mapping[str, Way]]:
    """Give each name a way of its own to the target."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="network", daemon=True)
    thread.start()
    ways = contextlib.AsyncExitStack()

    async def open_all() -> dict[str, Way]:
        return {
            name: Way(loop, await ways.enter_async_context(Proxy(target).listening()))
            for name in names
        }

    try:
        yield await _in(loop, open_all())
    finally:
        await _in(loop, ways.aclose())
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)
        loop.close()


async def _in(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))
