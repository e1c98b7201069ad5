"""One run of one model: its chunks in time, without its thoughts, cut into pieces."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing

from msgspec import Struct
from opentelemetry.trace import Span, Status, StatusCode
from queqiao_common import telemetry
from queqiao_common.settings import Model
from queqiao_common.tokens import estimate_tokens

from queqiao_llm import metrics
from queqiao_llm.completion import (
    Chunk,
    Extras,
    ModelFailed,
    Provider,
    Question,
    Reason,
    Usage,
)
from queqiao_llm.pace import Pace
from queqiao_llm.segments import Segmenter
from queqiao_llm.thinking import ThoughtFilter

FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
SILENT = frozenset({Reason.FIRST_TOKEN_TIMEOUT, Reason.DEADLINE})
"""Failures of a model that says nothing, for as long as somebody listens."""
PER_MESSAGE = 4
"""Tokens that a message takes beside its text."""
ENDED = frozenset({"", "stop"})
"""How a model says that it had nothing more to say."""


class Piece(Struct, frozen=True):
    """A finished piece of an answer; the last one is `cut` where a limit or a filter ended it.

    `usage` and `extras` come with the last one.
    """

    text: str
    final: bool = False
    cut: bool = False
    usage: Usage | None = None
    extras: Extras | None = None


async def write(
    provider: Provider,
    model: Model,
    question: Question,
    *,
    left: float,
    segment_bytes: int,
    pace: Pace,
    speak: Callable[[], None] = lambda: None,
) -> AsyncGenerator[Piece, None]:
    """Have a model write an answer and yield its pieces as they close; the last one is `final`.

    `pace` notes how fast it is, and `speak` is called at its first text.

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
        watch = Watch(model, span, pace, speak)
        try:
            async with (
                aclosing(provider.complete(question)) as chunks,
                aclosing(in_time(chunks, model, left)) as timed,
                aclosing(_pieces(timed, question, segment_bytes, watch)) as pieces,
            ):
                async for piece in pieces:
                    yield piece
        except (GeneratorExit, asyncio.CancelledError):  # another was faster, or we must stop
            watch.leave()
            raise
        except ModelFailed as failure:
            if failure.reason in SILENT:
                watch.leave()
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
    chunks: AsyncGenerator[Chunk, None], question: Question, segment_bytes: int, watch: "Watch"
) -> AsyncGenerator[Piece, None]:
    thoughts, segments = ThoughtFilter(), Segmenter(segment_bytes)
    said: list[str] = []
    async for chunk in chunks:
        watch.hear(chunk)
        for text in segments.feed(thoughts.feed(chunk.text)):
            said.append(text)
            yield Piece(text)
        if chunk.done:
            last = [*segments.feed(thoughts.finish()), segments.finish()]
            said += last
            _check_last(chunk, whole=any(said))
            usage = chunk.usage or estimated(question, said)
            watch.end(chunk, usage)
            for text in last[:-1]:
                yield Piece(text)
            yield Piece(
                last[-1],
                final=True,
                cut=chunk.finish not in ENDED,
                usage=usage,
                extras=chunk.extras,
            )


def estimated(question: Question, said: Iterable[str] = ()) -> Usage:
    """Estimate what a question and an answer to it take, where the model does not say."""
    asked = sum(estimate_tokens(one.content) + PER_MESSAGE for one in question.messages)
    return Usage(asked, sum(map(estimate_tokens, said)))


def _check_last(chunk: Chunk, *, whole: bool) -> None:
    """Refuse a complete answer that is none."""
    if chunk.finish == "error":
        raise ModelFailed(Reason.SERVER_ERROR, detail="finish_reason error")
    if whole:
        return
    if chunk.finish == "content_filter":
        raise ModelFailed(Reason.REFUSED, detail="content_filter")
    raise ModelFailed(Reason.EMPTY)


class Watch:
    """What is noted of one run: on its span, in the metrics, and of the model's pace."""

    def __init__(
        self, model: Model, span: Span, pace: Pace, speak: Callable[[], None] = lambda: None
    ) -> None:
        self._model = model.id
        self._span = span
        self._pace = pace
        self._speak = speak
        self._began = self._now()
        self._first: float | None = None
        self._called = False

    def hear(self, chunk: Chunk) -> None:
        """Note a chunk, of which the first with a text counts, or with the wish to call a tool."""
        self._called = self._called or bool(chunk.calls)
        if (chunk.text or chunk.calls) and self._first is None:
            self._first = self._now()
            seconds = self._first - self._began
            self._pace.note_first(seconds, self._first)
            metrics.FIRST_TEXT.labels(self._model).observe(seconds)
            self._span.set_attribute(FIRST_CHUNK, round(seconds, 4))
            self._speak()

    def leave(self) -> None:
        """Note that nobody waits any longer: if it was silent, it would have taken longer still."""
        if self._first is None:
            now = self._now()
            self._pace.note_first(now - self._began, now)

    def end(self, chunk: Chunk, usage: Usage) -> None:
        """Note the last chunk of a whole answer, and what it took."""
        now = self._now()
        if self._first is not None and not self._called:  # tools took what they took, not the model
            self._pace.note_rest(now - self._first, usage.completion_tokens, now)
        metrics.ANSWERED.labels(self._model).observe(now - self._began)
        metrics.TOKENS.labels(self._model, "input").inc(usage.prompt_tokens)
        metrics.TOKENS.labels(self._model, "output").inc(usage.completion_tokens)
        if chunk.finish:
            self._span.set_attribute("gen_ai.response.finish_reasons", (chunk.finish,))
        self._span.set_attribute("gen_ai.usage.input_tokens", usage.prompt_tokens)
        self._span.set_attribute("gen_ai.usage.output_tokens", usage.completion_tokens)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
