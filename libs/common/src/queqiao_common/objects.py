"""Objects in JetStream: bytes too large for an event, by key.

A thin shell around nats-py's object store, which cuts them into chunks and checks their digest.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import nats.errors
import nats.js.errors
from nats.js.object_store import ObjectStore

from queqiao_common.bus import Bus
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.topology import Store

TIMEOUT = 20.0
"""Seconds for one object."""
ABSENT = (nats.js.errors.ObjectNotFoundError, nats.js.errors.ObjectDeletedError)


class Objects(Protocol):
    """What a service needs of an object store; `MemoryObjects` passes the same contract suite."""

    async def put(self, key: str, data: bytes) -> None:
        """Store an object, over an older one of the same key."""

    async def get(self, key: str) -> bytes | None:
        """Return an object; None where there is none (any more)."""

    async def delete(self, key: str) -> None:
        """Forget an object; one that does not exist is forgotten already."""

    async def keys(self) -> list[str]:
        """Return the keys of all objects, sorted."""


class JetStreamObjects:
    """An object store of the topology.

    Every method raises `BrokerUnavailable` where the broker does not answer within 20 s.
    """

    def __init__(self, bus: Bus, store: Store) -> None:
        self._bus = bus
        self._store = store
        self._opened: ObjectStore | None = None

    async def put(self, key: str, data: bytes) -> None:
        """Store an object, over an older one of the same key."""
        async with _in_time(self._store, key):
            await (await self._open()).put(key, data)

    async def get(self, key: str) -> bytes | None:
        """Return an object; None where there is none (any more)."""
        async with _in_time(self._store, key):
            try:
                found = await (await self._open()).get(key)
            except ABSENT:
                return None
            return found.data or b""

    async def delete(self, key: str) -> None:
        """Forget an object; one that does not exist is forgotten already."""
        async with _in_time(self._store, key):
            try:
                await (await self._open()).delete(key)
            except ABSENT:
                return

    async def keys(self) -> list[str]:
        """Return the keys of all objects, sorted."""
        async with _in_time(self._store, "*"):
            try:
                found = await (await self._open()).list(ignore_deletes=True)
            except nats.js.errors.NotFoundError:
                return []
            return sorted(one.name for one in found if one.name is not None)

    async def _open(self) -> ObjectStore:
        if self._opened is None:
            self._opened = await self._bus.object_store(self._store.name)
        return self._opened


@asynccontextmanager
async def _in_time(store: Store, key: str) -> AsyncIterator[None]:
    """Bound one exchange, and say in our own words that the broker did not answer."""
    try:
        async with asyncio.timeout(TIMEOUT):
            yield
    except (nats.errors.Error, TimeoutError) as error:
        raise BrokerUnavailable(f"{store.name}/{key}: {type(error).__name__}") from error
