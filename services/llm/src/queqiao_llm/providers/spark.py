"""iFlytek Spark's chat protocol: one question for each WebSocket, whose address is signed.

Source: iFlytek's "Spark Web API" and "general URL authentication" pages; its SDK `spark-ai-python`.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncGenerator, Callable
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from queqiao_common.settings import Model

from queqiao_llm.completion import Chunk, Question
from queqiao_llm.providers.spark_answer import read
from queqiao_llm.providers.websocket import talking

_encode = msgspec.json.Encoder().encode


class Spark:
    """One model behind this protocol. `now` gives seconds since 1970, as the signature needs."""

    def __init__(self, model: Model, now: Callable[[], float] = time.time) -> None:
        self._model = model
        self._now = now
        chat: dict[str, Any] = {"domain": model.model}
        if model.temperature is not None:
            chat["temperature"] = model.temperature
        if model.max_tokens is not None:
            chat["max_tokens"] = model.max_tokens
        self._head = {"header": {"app_id": model.app_id}, "parameter": {"chat": chat}}

    async def complete(self, question: Question) -> AsyncGenerator[Chunk, None]:
        """Ask the model and yield its answer as it comes; see `Provider`."""
        told = _encode({**self._head, "payload": {"message": {"text": question.messages}}})
        done = False
        async with talking(self._address(), {}) as talk:
            await talk.say(told)
            while not done:
                if chunk := read(await talk.hear()):
                    done = chunk.done
                    yield chunk

    def _address(self) -> str:
        model = self._model
        return signed(
            model.base_url,
            key=model.api_key.reveal(),
            secret=model.api_secret.reveal(),
            now=self._now(),
        )


def signed(url: str, *, key: str, secret: str, now: float) -> str:
    """Return the address with the query that proves who asks; `now` in seconds since 1970.

    The server refuses it 300 seconds later. The port belongs to the signed host.
    """
    parts = urlsplit(url)
    date = formatdate(now, usegmt=True)
    claim = f"host: {parts.netloc}\ndate: {date}\nGET {parts.path} HTTP/1.1"
    signature = _base64(hmac.digest(secret.encode(), claim.encode(), hashlib.sha256))
    authorization = (
        f'api_key="{key}", algorithm="hmac-sha256", '
        f'headers="host date request-line", signature="{signature}"'
    )
    query = {
        "authorization": _base64(authorization.encode()),
        "date": date,
        "host": parts.netloc,
    }
    return parts._replace(query=urlencode(query)).geturl()


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
