"""The OpenAI chat protocol as a strict server speaks it: what is not as documented is a 400."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from queqiao_common.settings import Model, Secret

from services.llm.tests.fakes.scenes import KEY, NAME, Play, Scene, words_of

CLOSE = "Connection: close\r\n"


def settings(url: str, key: str = KEY) -> Model:
    return Model(id="main", base_url=url, model=NAME, api_key=Secret(key))


@asynccontextmanager
async def serving(scene: Scene) -> AsyncIterator[Play]:
    play = Play(scene)

    async def serve(reader, writer):
        try:
            await _answer(play, reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    play.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server:
        yield play


async def _answer(play: Play, reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
    question = json.loads(await reader.readexactly(int(headers["content-length"])))
    if headers.get("authorization") != f"Bearer {KEY}":
        return _send(writer, 401, {"error": {"message": "Incorrect API key"}})
    if head[0] != "POST /v1/chat/completions HTTP/1.1" or question["model"] != NAME:
        return _send(writer, 400, {"error": {"message": head[0]}})
    heard = play.heard = [(one["role"], one["content"]) for one in question["messages"]]
    match play.scene:
        case Scene.ERROR:
            return _send(writer, 500, {"error": {"message": words_of("failed", play.heard)}})
        case Scene.RATE_LIMITED:
            return _send(writer, 429, {"error": {"message": "slowly"}}, "Retry-After: 7\r\n")
        case Scene.WHOLE:
            message = {"role": "assistant", "content": play.parts(heard)[0]}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            return _send(writer, 200, {"choices": choices, "usage": _usage()})
        case Scene.HANG:
            hanging = asyncio.create_task(play.hang())
            await reader.read()  # until the client leaves
            return hanging.cancel()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    writer.write(f"{CLOSE}Transfer-Encoding: chunked\r\n\r\n".encode())
    for part in play.parts(heard):
        await _event(writer, {"choices": [{"index": 0, "delta": {"content": part}}]})
    if play.scene is Scene.CUT:
        return writer.transport.abort()
    if play.scene is Scene.GARBAGE:
        await _chunk(writer, b"data: <html>\n\n")
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": _usage()}
    await _event(writer, last)
    await _chunk(writer, b"data: [DONE]\n\n")
    writer.write(b"0\r\n\r\n")
    return await writer.drain()


def _usage():
    return {"prompt_tokens": 3, "completion_tokens": 5}


def _send(writer, status, body, header=""):
    octets = json.dumps(body, ensure_ascii=False).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(octets)}\r\n{CLOSE}{header}\r\n"
    writer.write(head.encode() + octets)


async def _event(writer, event):
    await _chunk(writer, b"data: " + json.dumps(event).encode() + b"\n\n")


async def _chunk(writer, octets):
    writer.write(f"{len(octets):x}\r\n".encode() + octets + b"\r\n")
    await writer.drain()
    await asyncio.sleep(0)
