"""A lean WeChat API for measuring: accepts every customer-service message, and notes when.

As cheap as the load generator, whose process it shares. (The simulator is the place for fidelity.)
"""

import asyncio
import time
from collections.abc import Callable
from typing import cast

import httptools
import msgspec
from msgspec import Struct

TOKEN = b'{"access_token":"bench","expires_in":7200}'
DONE = b'{"errcode":0,"errmsg":"ok"}'


class _Text(Struct):
    content: str = ""


class _Sent(Struct):
    touser: str = ""
    text: _Text = msgspec.field(default_factory=_Text)


_decode = msgspec.json.Decoder(_Sent).decode

Arrived = Callable[[str, str, float], None]
"""Called with the user, the text, and when it came (`time.perf_counter`)."""


class Sink(asyncio.Protocol):
    """One connection of egress."""

    transport: asyncio.Transport

    def __init__(self, arrived: Arrived) -> None:
        self._arrived = arrived
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: egress has connected."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes have come."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Httptools: a part of the address."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """Httptools: a part of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Httptools: the request is complete."""
        if self._url.startswith(b"/cgi-bin/message/custom/send"):
            sent = _decode(self._body)
            self._arrived(sent.touser, sent.text.content, time.perf_counter())
        answer = TOKEN if b"token?" in self._url or self._url.endswith(b"token") else DONE
        self._url = self._body = b""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}"
        self.transport.write(head.encode() + b"\r\n\r\n" + answer)


async def serve(port: int, arrived: Arrived) -> asyncio.Server:
    """Listen on loopback."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Sink(arrived), "127.0.0.1", port, backlog=512)
