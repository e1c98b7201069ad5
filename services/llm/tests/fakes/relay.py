"""A connection that can be cut: gRPC's own server always says good-bye."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Relay:
    """Passes bytes on, both ways, until the server has said its last words."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.last_words = b""
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        self.writers += [writer, back]
        async with asyncio.TaskGroup() as both:
            both.create_task(self._question(reader, back))
            both.create_task(self._answer(there, writer))

    def end(self):
        """Close every connection behind the last words: a reset could overtake them."""
        for writer in self.writers:
            writer.close()

    def cut(self):
        """Break every connection."""
        for writer in self.writers:
            writer.transport.abort()

    async def _question(self, reader, writer):
        with suppress(ConnectionError):
            while octets := await reader.read(65536):
                writer.write(octets)
                await writer.drain()
        writer.close()

    async def _answer(self, reader, writer):
        passed = b""
        with suppress(ConnectionError):
            while octets := await reader.read(65536):
                passed += octets
                writer.write(octets)
                await writer.drain()
                if self.last_words and self.last_words in passed:
                    self.end()
        writer.close()


@asynccontextmanager
async def relaying(target: int) -> AsyncIterator[Relay]:
    relay = Relay(target)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        relay.cut()
