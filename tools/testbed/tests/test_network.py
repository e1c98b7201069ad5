"""The ways of a network are told apart, and are heard although they live in another thread."""

import asyncio
import contextlib
import threading

from queqiao_common.testing import eventually
from queqiao_testbed.network import network


@contextlib.asynccontextmanager
async def echoing():
    async def echo(reader, writer):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def said(way, text):
    port = int(way.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        return await reader.read(100)
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_one_way_is_cut_and_the_other_is_not():
    async with echoing() as url, network(("a", "b"), url) as ways:
        assert await said(ways["a"], b"one") == b"one"
        ways["a"].cut()

        async def is_cut():
            return await said(ways["a"], b"two") == b""

        await eventually(is_cut)
        assert await said(ways["b"], b"three") == b"three"
        ways["a"].heal()


async def test_nothing_of_it_is_left():
    async with echoing() as url, network(("a",), url):
        assert any(thread.name == "network" for thread in threading.enumerate())

    assert all(thread.name != "network" for thread in threading.enumerate())
