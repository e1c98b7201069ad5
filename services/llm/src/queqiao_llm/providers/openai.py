"""The OpenAI chat protocol (REST and SSE), as its many imitators really speak it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import HttpxAiohttpClient
from queqiao_common.settings import Model

from queqiao_llm.completion import Chunk, ModelFailed, Question, Reason
from queqiao_llm.providers.http_status import reason_of, retry_after
from queqiao_llm.providers.openai_answer import AnswerReader
from queqiao_llm.providers.openai_question import body_of

CONNECT = 5.0
"""Seconds for a connection to be made."""
DRAIN = 0.2
"""Seconds to wait for the end of the body behind `[DONE]`: without it, the connection is lost."""

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class _NoCookies(httpx.Cookies):
    """Keeps none: aiohttp's own jar does, and looking twice costs a sixteenth of an answer."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Leave them where they are."""


class _Client(HttpxAiohttpClient):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._cookies = _NoCookies()


def open_http(connections: int) -> httpx.AsyncClient:
    """Open the pool of connections that all models share.

    Only connecting has a limit of its own: how long an answer may take, its model's settings say.
    The transport is aiohttp's: a seventh of the CPU time of httpx's own (ADR 0009).
    """
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return _Client(limits=limits, timeout=httpx.Timeout(None, connect=CONNECT))


class OpenAi:
    """One model behind this protocol. Connections are those of `http`; time is the caller's."""

    def __init__(self, http: httpx.AsyncClient, model: Model) -> None:
        self._http = http
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if key := model.api_key.reveal():
            headers["Authorization"] = f"Bearer {key}"
        # Parsed once: of a short answer's CPU it would take a tenth to do that for every question.
        self._like = http.build_request(
            "POST", model.base_url.rstrip("/") + "/chat/completions", headers=headers
        )
        del self._like.headers["Content-Length"]  # of this one's empty body
        self._options: dict[str, Any] = {
            **model.parameters,
            "model": model.model,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if model.temperature is not None:
            self._options["temperature"] = model.temperature
        if model.max_tokens is not None:
            self._options["max_tokens"] = model.max_tokens

    async def complete(self, question: Question) -> AsyncGenerator[Chunk, None]:
        """Ask the model and yield its answer as it comes; see `Provider`."""
        body = body_of(self._options, question)
        reader = AnswerReader()
        with translated():
            async with opened(self._http, self._request(body)) as response:
                check(response)
                answer = response.aiter_bytes()
                async for more in answer:
                    if chunk := reader.feed(more):
                        yield chunk
                    if reader.done:
                        await _drain(answer)
                        return
        yield reader.finish()

    def _request(self, body: bytes) -> httpx.Request:
        like = self._like
        return httpx.Request(
            like.method, like.url, headers=like.headers, content=body, extensions=like.extensions
        )


@contextlib.asynccontextmanager
async def opened(http: httpx.AsyncClient, request: httpx.Request) -> AsyncIterator[httpx.Response]:
    """Send a request, and close its response in the end."""
    response = await http.send(request, stream=True)
    try:
        yield response
    finally:
        await response.aclose()
        # It and its stream hold each other: fifty objects that only the cycle collector would free.
        response.stream = httpx.ByteStream(b"")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Let no error of the client library out: only its name, as its text may hold an address."""
    try:
        yield
    except NOT_SENT as error:
        raise ModelFailed(Reason.UNREACHABLE, detail=type(error).__name__) from error
    # aiohttp's own errors come through where a server speaks no HTTP.
    except (
        httpx.HTTPError,
        httpx.StreamError,
        httpx.InvalidURL,
        aiohttp.ClientError,
    ) as error:
        raise ModelFailed(Reason.DISCONNECTED, detail=type(error).__name__) from error


def check(response: httpx.Response) -> None:
    """Refuse every status but 200.

    Raises:
        ModelFailed: with what the status means.
    """
    status = response.status_code
    if status != httpx.codes.OK:
        after = retry_after(response.headers.get("Retry-After", ""), time.time())
        raise ModelFailed(reason_of(status), status=status, after=after)


async def _drain(body: AsyncIterator[bytes]) -> None:
    """Read to the end what is of no more interest; the answer is complete, whatever happens."""
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(DRAIN):
            async for _ in body:
                pass
