"""uvicorn, with the one thing a misbehaving platform needs: a connection that can be cut."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import uvicorn
from fastapi import FastAPI, Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CUT = "queqiao.cut"
KEEP_ALIVE_SECONDS = 75
BACKLOG = 4096


class CuttableProtocol(HttpToolsProtocol):
    """Lets a request close its own connection."""

    def on_message_begin(self) -> None:
        """Called by the parser when a request begins."""
        super().on_message_begin()
        scope = cast("dict[str, Any]", self.scope)
        scope["extensions"] = {CUT: {"abort": self.transport.abort}}


async def cut(request: Request) -> None:
    """Close the connection of a request without an answer, and wait until it is closed.

    Raises:
        RuntimeError: the request did not come through `CuttableProtocol`.
    """
    extension = request.scope.get("extensions", {}).get(CUT)
    if extension is None:
        raise RuntimeError("this server cannot cut connections: run it with `serving`")
    abort: Callable[[], None] = extension["abort"]
    abort()
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs it, and says when it accepts connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve an application until the block ends; yields its base URL.

    `port` 0 takes a free one, which tests want.

    Raises:
        OSError: the address cannot be bound.
    """
    with _listener(host, port) as listener:
        config = uvicorn.Config(
            app,
            http=CuttableProtocol,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await server.is_up.wait()
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def _listener(host: str, port: int) -> socket.socket:
    family, kind, proto, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )[0]
    # Named TCP: asyncio switches Nagle's delay (40 ms an answer) off only where it is.
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
