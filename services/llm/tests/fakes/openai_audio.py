"""Speech in the OpenAI protocol as a strict server speaks it: anything else is a 400."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from queqiao_common.settings import Model, Secret
from queqiao_common.testing import eventually
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = "right-key"
FRAME = b"\xff\xf3\x48\xc4" + bytes(140)
"""144 bytes of MP3: MPEG-2 layer III, 32 kbit/s at 16 kHz, silence of 36 ms."""
FRAME_SECONDS = 576 / 16_000


def mp3(seconds: float) -> bytes:
    return FRAME * round(seconds / FRAME_SECONDS)


def amr(seconds: float) -> bytes:
    return b"#!AMR\n" + (b"\x3c" + bytes(31)) * round(seconds / 0.02)


@dataclass
class Audio:
    """A fake server at work: what it answers, and what it was asked."""

    url: str = ""
    text: str = "今天天气怎么样"
    sound: bytes = field(default_factory=lambda: mp3(3))
    failures: list[Response] = field(default_factory=list)  # given first, one each
    heard: list[bytes] = field(default_factory=list)
    spoken: list[tuple[str, str]] = field(default_factory=list)

    def model(self, **settings: Any) -> Model:
        defaults: dict[str, Any] = {
            "id": "audio",
            "base_url": self.url,
            "model": "audio-1",
            "timeout": 10.0,
            "api_key": Secret(KEY),
        }
        return Model(**(defaults | settings))

    async def transcribe(self, request: Request) -> Response:
        async with request.form() as form:
            file = form.get("file")
            if self._refuses(request, form.get("model")) or file is None or isinstance(file, str):
                return JSONResponse({"error": {"message": "bad request"}}, 400)
            self.heard.append(await file.read())
        if self.failures:
            return self.failures.pop(0)
        return JSONResponse({"text": self.text})

    async def speak(self, request: Request) -> Response:
        asked = await request.json()
        unknown = set(asked) - {"model", "input", "voice", "response_format"}
        if self._refuses(request, asked.get("model")) or unknown or not asked["input"]:
            return JSONResponse({"error": {"message": "bad request"}}, 400)
        self.spoken.append((asked["input"], asked["voice"]))
        if self.failures:
            return self.failures.pop(0)
        return Response(self.sound, media_type="audio/mpeg")

    def _refuses(self, request: Request, model: object) -> bool:
        return request.headers.get("authorization") != f"Bearer {KEY}" or model != "audio-1"


@contextlib.asynccontextmanager
async def serving(audio: Audio | None = None) -> AsyncIterator[Audio]:
    audio = audio or Audio()
    app = Starlette(
        routes=[
            Route("/v1/audio/transcriptions", audio.transcribe, methods=["POST"]),
            Route("/v1/audio/speech", audio.speak, methods=["POST"]),
        ]
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        audio.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        await eventually(lambda: server.started)
        try:
            yield audio
        finally:
            server.should_exit = True
            await task
