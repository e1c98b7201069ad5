"""The OpenAI protocol for speech: `audio/transcriptions` and `audio/speech`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
from msgspec import Struct
from queqiao_common.events import UNREADABLE
from queqiao_common.settings import Config, Model

from queqiao_llm.audio import MIME
from queqiao_llm.completion import ModelFailed, Reason
from queqiao_llm.providers.openai import check, open_http, translated

MAX_TEXT = 1024 * 1024
"""Bytes of a transcript on the wire."""
MAX_SOUND = 8 * 1024 * 1024
"""Bytes of an answer read aloud."""


class _Transcript(Struct):
    text: str | None = None


_decode = msgspec.json.Decoder(_Transcript).decode


class OpenAiAudio:
    """One model that hears or speaks. Connections are those of `http`."""

    def __init__(self, http: httpx.AsyncClient, model: Model) -> None:
        self._http = http
        self.model = model
        self._base = model.base_url.rstrip("/")
        key = model.keys[0].reveal()
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def transcribe(self, sound: bytes, form: str) -> str:
        """Return what is said in a sound of this format (`wav`, `mp3`, `amr`).

        Raises:
            ModelFailed: with the reason.
        """
        written = await self._asked(
            "/audio/transcriptions",
            MAX_TEXT,
            files={"file": (f"voice.{form}", sound, MIME[form])},
            data={"model": self.model.model, "response_format": "json"},
        )
        try:
            return _decode(written).text or ""
        except UNREADABLE as error:
            raise ModelFailed(Reason.GARBAGE, detail="not a transcript") from error

    async def speak(self, text: str, voice: str) -> bytes:
        """Return a text read aloud by a voice, as MP3.

        Raises:
            ModelFailed: with the reason.
        """
        question = {
            "model": self.model.model,
            "input": text,
            "voice": voice,
            "response_format": "mp3",
        }
        sound = await self._asked("/audio/speech", MAX_SOUND, json=question)
        if not sound:
            raise ModelFailed(Reason.EMPTY)
        return sound

    async def _asked(self, path: str, limit_bytes: int, **content: Any) -> bytes:
        """Send a request and read its whole answer, in the model's time."""
        try:
            async with asyncio.timeout(self.model.timeout):
                with translated():
                    return await self._read(path, limit_bytes, content)
        except TimeoutError:
            raise ModelFailed(Reason.TIMEOUT) from None

    async def _read(self, path: str, limit_bytes: int, content: dict[str, Any]) -> bytes:
        url, read = self._base + path, bytearray()
        async with self._http.stream("POST", url, headers=self._headers, **content) as response:
            check(response)
            async for more in response.aiter_bytes():
                read += more
                if len(read) > limit_bytes:
                    raise ModelFailed(Reason.GARBAGE, detail=f"more than {limit_bytes} bytes")
        return bytes(read)


class Audio(Struct, frozen=True):
    """The models that hear and speak, as far as there are any."""

    ears: OpenAiAudio | None = None
    voice: OpenAiAudio | None = None


@asynccontextmanager
async def open_audio(config: Config) -> AsyncIterator[Audio]:
    """Open the models that the configuration names; closed behind the block."""
    models = {model.id: model for model in config.models}
    ears, voice = models.get(config.media.transcribe), models.get(config.media.speak)
    if ears is None and voice is None:
        yield Audio()
        return
    async with open_http(config.llm.concurrency) as http:
        yield Audio(
            ears=OpenAiAudio(http, ears) if ears else None,
            voice=OpenAiAudio(http, voice) if voice else None,
        )
