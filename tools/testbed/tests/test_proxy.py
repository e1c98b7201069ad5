"""What a proxy does to a connection: nothing, or what it is told to."""

import asyncio
import contextlib

import pytest
from queqiao_testbed.proxy import Proxy


@contextlib.asynccontextmanager
async def echoing():
    """A server that says everything back, and its address."""

    async def echo(reader, writer):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
async def proxy():
    async with echoing() as url, Proxy(url, scheme="tcp").listening() as proxy:
        yield proxy


@contextlib.asynccontextmanager
async def connected(proxy):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.url.rsplit(":", 1)[1]))
    try:
        yield reader, writer
    finally:
        writer.close()


async def said(reader, writer, text):
    writer.write(text)
    return await reader.readexactly(len(text))


async def test_it_carries_everything_in_order(proxy):
    payload = bytes(range(256)) * 4000
    async with connected(proxy) as (reader, writer):
        assert await said(reader, writer, payload) == payload
        assert proxy.connections == 1


async def test_late_bytes_keep_their_order(proxy):
    proxy.latency, proxy.jitter = 0.01, 0.05
    async with connected(proxy) as (reader, writer):
        for number in range(20):
            writer.write(bytes([number]))
            await writer.drain()

        assert await reader.readexactly(20) == bytes(range(20))


async def test_a_cut_resets_old_and_new_connections_until_it_heals(proxy):
    async with connected(proxy) as (reader, writer):
        assert await said(reader, writer, b"a") == b"a"
        proxy.cut()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    async with connected(proxy) as (reader, writer):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await said(reader, writer, b"b")
    proxy.heal()

    async with connected(proxy) as (reader, writer):
        assert await said(reader, writer, b"c") == b"c"


async def test_silence_holds_bytes_back_and_loses_none(proxy):
    """As a network does that comes back before anybody gave up."""
    async with connected(proxy) as (reader, writer):
        assert await said(reader, writer, b"a") == b"a"
        proxy.freeze()
        writer.write(b"bc")
        waiting = asyncio.create_task(reader.readexactly(2))
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        assert not done
        proxy.heal()

        assert await waiting == b"bc"
