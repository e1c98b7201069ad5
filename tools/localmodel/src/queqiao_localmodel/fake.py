"""A fake model behind the OpenAI protocol: `python -m queqiao_localmodel.fake --port 8092`.

It speaks HTTP by itself, one protocol object per connection and no task per request: a benchmark
should measure its subject, and a framework would cost more than the answers.
"""

import argparse
import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import cast

import httptools
import msgspec
import uvloop

from queqiao_localmodel.completion import NEVER, Cut, Step, Wait, decode_request, respond
from queqiao_localmodel.control import Calls, decode_control
from queqiao_localmodel.framing import json_response, refusal
from queqiao_localmodel.process import announce, asked_to_stop

MODELS = {"object": "list", "data": [{"id": "fake", "object": "model", "owned_by": "queqiao"}]}
NO_LINGER = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: closing resets the connection
BACKLOG = 1024

Steps = Generator[Step, None, None]


def answered(calls: Calls, method: bytes, path: bytes, body: bytes) -> Steps:
    """The steps of the response to one request."""
    try:
        if (method, path.removeprefix(b"/v1")) == (b"POST", b"/chat/completions"):
            request = decode_request(body)
            script = calls.script_for(request, body)
            yield from calls.tracked(respond(request, script, calls.total))
        else:
            yield _managed(calls, method, path, body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        yield refusal(400, str(error))


def _managed(calls: Calls, method: bytes, path: bytes, body: bytes) -> bytes:
    match method, path:
        case b"GET", b"/health":
            return json_response(200, {"status": "ok"})
        case b"GET", b"/v1/models":
            return json_response(200, MODELS)
        case b"GET", b"/control/calls":
            return json_response(200, calls.report())
        case b"PUT", b"/control":
            calls.obey(decode_control(body))
        case b"POST", b"/control/reset":
            calls.reset()
        case b"GET", b"/control":
            pass
        case _:
            return refusal(404, f"nothing answers {method!r} {path!r}")
    return json_response(200, calls.control)


class Connection(asyncio.Protocol):
    """One client: its requests are answered one after the other, in their order."""

    transport: asyncio.Transport

    def __init__(self, calls: Calls, peers: set["Connection"]) -> None:
        self.calls = calls
        self.peers = peers
        self.parser = httptools.HttpRequestParser(self)
        self.keep_alive = True
        self.url = self.body = b""
        self.steps: Steps | None = None
        self.waiting: deque[Steps] = deque()
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: a client has come."""
        self.transport = cast("asyncio.Transport", transport)
        self.peers.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Asyncio: the client is gone, nobody waits for the rest of its answer."""
        self.peers.discard(self)
        self.waiting.clear()
        if self.timer:
            self.timer.cancel()
        if self.steps:
            self.steps.close()
            self.steps = None

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes have come."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.transport.write(refusal(400, str(error)))
            self.transport.close()

    def on_url(self, url: bytes) -> None:
        """Httptools: a part of the address."""
        self.url += url

    def on_headers_complete(self) -> None:
        """Httptools: the body follows."""
        self.keep_alive = self.parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Httptools: a part of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """Httptools: the request is complete."""
        path = self.url.partition(b"?")[0]
        steps = answered(self.calls, self.parser.get_method(), path, self.body)
        self.url = self.body = b""
        if self.steps:
            self.waiting.append(steps)
        else:
            self.steps = steps
            self._advance()

    def _advance(self) -> None:
        """Send what is due: up to the next pause, or the end of the last answer."""
        while self.steps:
            pause = self._send_until_pause(self.steps)
            if pause == NEVER:
                return
            if pause:
                loop = asyncio.get_running_loop()
                self.timer = loop.call_later(pause.seconds, self._advance)
                return
            self.steps = self.waiting.popleft() if self.waiting else None
        if not self.keep_alive:
            self.transport.close()

    def _send_until_pause(self, steps: Steps) -> Wait | None:
        due = []
        pause = None
        for step in steps:
            if isinstance(step, Wait):
                pause = step
                break
            if isinstance(step, Cut):
                self._cut()
            else:
                due.append(step)
        if due:
            self.transport.write(b"".join(due))
        return pause

    def _cut(self) -> None:
        client: socket.socket = self.transport.get_extra_info("socket")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()


@asynccontextmanager
async def serving(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """A fake model for as long as the block runs; gives its address, as `http://127.0.0.1:8092`."""
    calls = Calls()
    peers: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(calls, peers), host, port, backlog=BACKLOG)
    try:
        bound = server.sockets[0].getsockname()[1]
        yield f"http://{host}:{bound}"
    finally:
        server.close()
        for peer in tuple(peers):
            peer.transport.abort()
        await server.wait_closed()


async def main(host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with serving(host, port) as address:
        announce(f"the fake model answers at {address}/v1")
        await asked_to_stop()


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m queqiao_localmodel.fake", description="A scriptable fake language model."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8092, help="0: any free port (default: 8092)")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    uvloop.run(main(given.host, given.port))
