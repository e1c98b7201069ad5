"""A model that calls the tool it is told to, over the OpenAI protocol, and says what it was told.

`call map__weather {"city": "北京"}` makes it call that; then it answers with the result's text.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from queqiao_common.testing import eventually
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Json = dict[str, Any]


@dataclass
class Caller:
    """The model at work: where, and what it was asked."""

    url: str = ""
    asked: list[Json] = field(default_factory=list)

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        last = body["messages"][-1]
        wished = {call["id"] for one in body["messages"] for call in one.get("tool_calls", ())}
        told = {one["tool_call_id"] for one in body["messages"] if one["role"] == "tool"}
        if wished != told:
            return JSONResponse({"error": {"message": "a call without an answer"}}, 400)
        if last["role"] == "tool":
            return events(*[{"content": part} for part in ("工具说：", last["content"])])
        _, name, arguments = text_of(last["content"]).split(" ", 2)
        first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name}}
        half = len(arguments) // 2
        parts = [
            {"index": 0, "function": {"arguments": arguments[:half]}},
            {"index": 0, "function": {"arguments": arguments[half:]}},
        ]
        return events(*[{"tool_calls": [call]} for call in (first, *parts)], finish="tool_calls")


def text_of(content: str | list[Json]) -> str:
    return content if isinstance(content, str) else str(content[0]["text"])


def events(*deltas: Json, finish: str = "stop") -> Response:
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": usage}
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in (*chunks, last)]
    return Response("".join([*lines, "data: [DONE]\n\n"]), media_type="text/event-stream")


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Caller]:
    caller = Caller()
    app = Starlette(routes=[Route("/v1/chat/completions", caller.chat, methods=["POST"])])
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        caller.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        await eventually(lambda: server.started)
        try:
            yield caller
        finally:
            server.should_exit = True
            await task
