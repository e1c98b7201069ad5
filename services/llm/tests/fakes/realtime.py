"""OpenAI's Realtime protocol for text: events out of order or of another form are errors."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from queqiao_common.settings import Model, Secret
from websockets.asyncio.server import serve

from services.llm.tests.fakes.scenes import KEY, NAME, Play, Scene, words_of

USAGE = {"total_tokens": 8, "input_tokens": 3, "output_tokens": 5}


class RefusedError(Exception):
    """The client said what the protocol does not know."""


def settings(url: str, key: str = KEY) -> Model:
    return Model(id="main", protocol="realtime", base_url=url, model=NAME, api_key=Secret(key))


@asynccontextmanager
async def serving(scene: Scene) -> AsyncIterator[Play]:
    play = Play(scene)

    async def answer(connection):
        try:
            await _session(play, connection)
        except RefusedError as refusal:
            error = {"type": "invalid_request_error", "code": "invalid_value"}
            await _send(connection, "error", error=error | {"message": str(refusal)})

    async with serve(answer, "127.0.0.1", 0, process_request=_admit) as server:
        play.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield play


def _admit(connection, request):
    if request.path != f"/v1/realtime?model={NAME}":
        return connection.respond(404, "")
    if request.headers.get("Authorization") != f"Bearer {KEY}":
        return connection.respond(401, '{"error":{"code":"invalid_api_key"}}')
    return None


async def _session(play: Play, connection):
    heard = play.heard = []
    await _send(connection, "session.created", session={"type": "realtime", "model": NAME})
    async for frame in connection:
        event = json.loads(frame)
        match event.pop("type"):
            case "session.update":
                await _update(heard, connection, event["session"])
            case "conversation.item.create":
                heard.append(_heard(event["item"]))
                await _send(connection, "conversation.item.added", item=event["item"])
            case "response.create":
                await _respond(play, heard, connection, event["response"])
            case other:
                raise RefusedError(f"no such event: {other}")


async def _update(heard, connection, session):
    if heard or session["type"] != "realtime" or session["output_modalities"] != ["text"]:
        raise RefusedError("session")
    if told := session.get("instructions"):
        heard.append(("system", told))
    await _send(connection, "session.updated", session=session)


def _heard(item):
    [content] = item["content"]
    kind = "output_text" if item["role"] == "assistant" else "input_text"
    if item["type"] != "message" or content["type"] != kind:
        raise RefusedError(f"item {item['type']} of {item['role']}: {content['type']}")
    return item["role"], content["text"]


async def _respond(play: Play, heard, connection, response):
    if response["output_modalities"] != ["text"] or not heard:
        raise RefusedError("response")
    await _send(connection, "response.created", response={"status": "in_progress", "output": []})
    match play.scene:
        case Scene.ERROR:
            return await _fail(connection, "server_error", "x", words_of("failed", heard))
        case Scene.RATE_LIMITED:
            code = "rate_limit_exceeded"
            return await _fail(connection, "invalid_request_error", code, "slowly")
        case Scene.HANG:
            await connection.wait_closed()
            return play.abandoned.set()
    parts = play.parts(heard)
    item = {"type": "message", "role": "assistant", "content": []}
    await _send(connection, "response.output_item.added", output_index=0, item=item)
    if play.scene is not Scene.WHOLE:
        for part in parts:
            await _send(connection, "response.output_text.delta", delta=part, content_index=0)
    if play.scene is Scene.CUT:
        return connection.transport.abort()
    if play.scene is Scene.GARBAGE:
        await connection.send("<html>")
    content = [{"type": "output_text", "text": "".join(parts)}]
    await _send(connection, "response.output_text.done", text="".join(parts))
    done = {"status": "completed", "output": [item | {"content": content}], "usage": USAGE}
    return await _send(connection, "response.done", response=done)


async def _fail(connection, kind, code, message):
    error = {"type": kind, "code": code, "message": message}
    details = {"type": "failed", "error": error}
    await _send(
        connection, "response.done", response={"status": "failed", "status_details": details}
    )


async def _send(connection, kind, **fields):
    await connection.send(json.dumps({"type": kind, "event_id": "e", **fields}, ensure_ascii=False))
