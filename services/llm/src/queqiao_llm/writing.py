"""One run of one model: its chunks in time, without its thoughts, cut into pieces."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec import Struct
from opentelemetry.trace import Span, Status, StatusCode
from queqiao_common import telemetry
from queqiao_common.events import Prompt
from queqiao_common.settings import Model

from queqiao_llm import metrics
from queqiao_llm.completion import Chunk, ModelFailed, Provider, Reason
from queqiao_llm.segments import Segmenter
from queqiao_llm.thinking import ThoughtFilter

FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"


ENDED = frozenset({"", "stop"})
"""How a model says that it had nothing more to say."""


class Piece(Struct, frozen=True):
    """A finished piece of an answer; the last one is `cut` where a limit or a filter ended it."""

    text: str
    final: bool = False
    cut: bool = False


async def write(
    provider: Provider,
    model: Model,
    prompt: tuple[Prompt, ...],
    *,
    left: float,
    segment_bytes: int,
) -> AsyncGenerator[Piece, None]:
    """Have a model write an answer and yield its pieces as they close; the last one is `final`.

    Raises:
        ModelFailed: the answer is not complete; pieces of it may have been yielded before.
    """
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": model.protocol,
        "gen_ai.request.model": model.model,
        "queqiao.model": model.id,
    }
    with telemetry.client_span(f"chat {model.model}", **attributes) as span:
        try:
            async with (
                aclosing(provider.complete(prompt)) as chunks,
                aclosing(in_time(chunks, model, left)) as timed,
                aclosing(_pieces(timed, model, segment_bytes, span)) as pieces,
            ):
                async for piece in pieces:
                    yield piece
        except ModelFailed as failure:
            metrics.FAILURES.labels(model.id, failure.reason).inc()
            span.set_attribute("error.type", failure.reason)
            span.set_status(Status(StatusCode.ERROR, failure.reason))
            raise


async def in_time(
    chunks: AsyncGenerator[Chunk, None], model: Model, left: float
) -> AsyncGenerator[Chunk, None]:
    """Pass chunks on for as long as the model, and the turn with `left` seconds, have time.

    Raises:
        ModelFailed: the first sign of life, or the end, did not come in time.
    """
    began = asyncio.get_running_loop().time()
    limit, reason = _limit(model.first_token_timeout, Reason.FIRST_TOKEN_TIMEOUT, model, left)
    whole = _limit(model.timeout, Reason.TIMEOUT, model, left)
    due: float | None = began + limit
    while True:
        try:
            async with asyncio.timeout_at(due):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise ModelFailed(reason) from None
        limit, reason = whole
        # What the provider has to tidy up behind the last chunk, it bounds itself.
        due = None if chunk.done else began + limit
        yield chunk


def _limit(seconds: float, reason: Reason, model: Model, left: float) -> tuple[float, Reason]:
    """Return the tightest limit, and what it means when it is hit."""
    return min((seconds, reason), (model.timeout, Reason.TIMEOUT), (left, Reason.DEADLINE))


async def _pieces(
    chunks: AsyncGenerator[Chunk, None], model: Model, segment_bytes: int, span: Span
) -> AsyncGenerator[Piece, None]:
    thoughts, segments = ThoughtFilter(), Segmenter(segment_bytes)
    began = asyncio.get_running_loop().time()
    spoke = said = False
    async for chunk in chunks:
        if chunk.text and not spoke:
            spoke = True
            _note_first(span, model, asyncio.get_running_loop().time() - began)
        for text in segments.feed(thoughts.feed(chunk.text)):
            said = True
            yield Piece(text)
        if chunk.done:
            last = [*segments.feed(thoughts.finish()), segments.finish()]
            _check_last(chunk, whole=said or bool(last[-1]))
            _note_end(span, model, chunk, asyncio.get_running_loop().time() - began)
            for text in last[:-1]:
                yield Piece(text)
            yield Piece(last[-1], final=True, cut=chunk.finish not in ENDED)


def _check_last(chunk: Chunk, *, whole: bool) -> None:
    """Refuse a complete answer that is none."""
    if chunk.finish == "error":
        raise ModelFailed(Reason.SERVER_ERROR, detail="finish_reason error")
    if whole:
        return
    if chunk.finish == "content_filter":
        raise ModelFailed(Reason.REFUSED, detail="content_filter")
    raise ModelFailed(Reason.EMPTY)


def _note_first(span: Span, model: Model, seconds: float) -> None:
    metrics.FIRST_TEXT.labels(model.id).observe(seconds)
    span.set_attribute(FIRST_CHUNK, round(seconds, 4))


def _note_end(span: Span, model: Model, chunk: Chunk, seconds: float) -> None:
    metrics.ANSWERED.labels(model.id).observe(seconds)
    if chunk.finish:
        span.set_attribute("gen_ai.response.finish_reasons", (chunk.finish,))
    if chunk.usage is not None:
        span.set_attribute("gen_ai.usage.input_tokens", chunk.usage.prompt_tokens)
        span.set_attribute("gen_ai.usage.output_tokens", chunk.usage.completion_tokens)
        metrics.TOKENS.labels(model.id, "input").inc(chunk.usage.prompt_tokens)
        metrics.TOKENS.labels(model.id, "output").inc(chunk.usage.completion_tokens)
