"""Time-outs of WeChat's answers that do not count while this process stands still.

A process that was stopped for a while (SIGSTOP, a frozen virtual machine) wakes up with its timers
run out and with the answer in its socket. The timers come first, and what WeChat has shown would be
in doubt. So a time-out is waited for in short steps: standing still costs one of them.
"""

from collections.abc import Iterable
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

STEP = 1.0
"""Seconds."""


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = timeout
        while left is not None and left > STEP:
            try:
                return await self._stream.read(max_bytes, STEP)
            except httpcore.ReadTimeout:
                left -= STEP  # nothing was read, so nothing is lost
        return await self._stream.read(max_bytes, left)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Network(httpcore.AsyncNetworkBackend):
    def __init__(self, network: httpcore.AsyncNetworkBackend) -> None:
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(
            await self._network.connect_tcp(host, port, timeout, local_address, socket_options)
        )

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


def patient(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Have a client wait like that, through a proxy as well.

    httpcore takes a network backend, but httpx has no way to pass one on.
    """
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx.AsyncHTTPTransport):
            pool = transport._pool
            pool._network_backend = _Network(pool._network_backend)
    return client
