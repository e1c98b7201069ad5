"""A TCP proxy in front of the broker: the network of one replica, to be slowed, frozen or cut."""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator
from typing import cast
from urllib.parse import urlsplit


class Proxy:
    """Forwards every connection to one address, in order, `latency` (and up to `jitter`) s late."""

    def __init__(self, target: str, *, scheme: str = "nats") -> None:
        address = urlsplit(target)
        self.latency = 0.0
        self.jitter = 0.0
        self.host, self.port = address.hostname or "127.0.0.1", address.port or 0
        self._scheme = scheme
        self._listening = 0
        self._ends: set[_End] = set()
        self._openings: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self._is_frozen = False

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"{self._scheme}://127.0.0.1:{self._listening}"

    @contextlib.asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator["Proxy"]:
        """Forward while the context is open."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Door(self), "127.0.0.1", port)
        self._listening = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()
            await self._end()

    async def _end(self) -> None:
        await asyncio.gather(*self._openings, return_exceptions=True)
        ends = tuple(self._ends)
        self.cut()
        await asyncio.gather(*(end.closed for end in ends))

    def cut(self) -> None:
        """Reset every connection, and every new one at once."""
        self._is_cut = True
        for end in tuple(self._ends):
            end.abort()

    def freeze(self) -> None:
        """Carry nothing, and tell nobody: both sides see a connection that has gone silent."""
        self._is_frozen = True
        for end in self._ends:
            end.hush()

    def slow(self, latency: float, jitter: float) -> None:
        """Carry everything late."""
        self.latency, self.jitter = latency, jitter

    def heal(self) -> None:
        """Carry everything again, at once; what was frozen arrives late, as in a real network."""
        self.latency = self.jitter = 0.0
        self._is_cut = self._is_frozen = False
        for end in tuple(self._ends):
            end.speak()

    @property
    def connections(self) -> int:
        """How many connections are forwarded right now."""
        return len(self._ends) // 2

    def _admit(self, end: "_End") -> None:
        self._ends.add(end)
        if self._is_cut:
            end.abort()
        elif self._is_frozen:
            end.hush()

    def _dismiss(self, end: "_End") -> None:
        self._ends.discard(end)

    def _open(self, door: "_End", other: "_End") -> None:
        task = asyncio.create_task(self._connect(door, other))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    async def _connect(self, door: "_End", other: "_End") -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: other, self.host, self.port)
        except OSError:
            door.abort()

    def _delay(self) -> float:
        return self.latency + random.random() * self.jitter if self.latency else 0.0


class _End(asyncio.Protocol):
    """One end of a forwarded connection: what it hears, its other end says."""

    def __init__(self, proxy: Proxy) -> None:
        self.other: _End | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._proxy = proxy
        self._transport: asyncio.Transport | None = None
        self._heard: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: this end is connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._proxy._admit(self)
        if self.other is not None:
            self.other._pass_on()

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes have come."""
        due = asyncio.get_running_loop().time() + self._proxy._delay()
        if self._heard:
            due = max(due, self._heard[-1][0])
        self._heard.append((due, data))
        self._pass_on()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Asyncio: this end is gone, so the other one goes too."""
        self.closed.set_result(None)
        self._proxy._dismiss(self)
        if self._timer is not None:
            self._timer.cancel()
        if self.other is not None:
            self.other.abort()

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()

    def hush(self) -> None:
        """Read nothing more, so that the sender's data waits in the network."""
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def speak(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(RuntimeError):  # it was not paused
                self._transport.resume_reading()

    def _pass_on(self) -> None:
        """Let the other end say what is due, and come back for the rest."""
        peer = self.other._transport if self.other is not None else None
        if peer is None:
            return
        loop = asyncio.get_running_loop()
        while self._heard and self._heard[0][0] <= loop.time():
            peer.write(self._heard.popleft()[1])
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._heard[0][0], self._pass_on) if self._heard else None


class _Door(_End):
    """The client's end: it opens the connection to the target."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: a client has come."""
        super().connection_made(transport)
        self.other = _End(self._proxy)
        self.other.other = self
        self._proxy._open(self, self.other)
