"""The Open Inference Protocol (KServe v2) over gRPC, as Triton and MLServer speak it."""

import contextlib
from collections.abc import AsyncGenerator, Iterator
from urllib.parse import urlsplit

import grpc
import grpc.aio
from queqiao_common.settings import Model

from queqiao_llm.completion import MAX_ANSWER, Chunk, ModelFailed, Question, Reason
from queqiao_llm.providers.kserve_tensors import AnswerReader, request_of

STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
INFER = "/inference.GRPCInferenceService/ModelInfer"
PUSHBACK = "grpc-retry-pushback-ms"
"""Trailing metadata by which a server says when to come again (gRPC proposal A6)."""

OPTIONS: tuple[tuple[str, int], ...] = (
    # No more than twice in an answer: a server counts more pings without data as an attack.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # The default grows to two minutes, in which all calls to a server that is back would fail.
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.max_receive_message_length", MAX_ANSWER),
)

FAILURES = {
    grpc.StatusCode.INVALID_ARGUMENT: (Reason.REFUSED, 400),
    grpc.StatusCode.OUT_OF_RANGE: (Reason.REFUSED, 400),
    grpc.StatusCode.FAILED_PRECONDITION: (Reason.REFUSED, 422),  # MLServer's translation of 422
    grpc.StatusCode.UNAUTHENTICATED: (Reason.REFUSED, 401),
    grpc.StatusCode.PERMISSION_DENIED: (Reason.REFUSED, 403),
    grpc.StatusCode.NOT_FOUND: (Reason.REFUSED, 404),
    grpc.StatusCode.UNIMPLEMENTED: (Reason.REFUSED, 501),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Reason.RATE_LIMITED, 429),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Reason.TIMEOUT, 0),
    grpc.StatusCode.UNAVAILABLE: (Reason.DISCONNECTED, 0),
    grpc.StatusCode.CANCELLED: (Reason.DISCONNECTED, 0),
}
"""What a status means for the next attempt, and what it would be in HTTP; else a server error."""


def open_channel(model: Model) -> grpc.aio.Channel:
    """Open the channel of one model: it connects when it is first used, and again when it must.

    The roots of trust are gRPC's own, or those of `GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`.
    """
    parts = urlsplit(model.base_url)
    if parts.scheme == "grpcs":
        return grpc.aio.secure_channel(parts.netloc, grpc.ssl_channel_credentials(), OPTIONS)
    return grpc.aio.insecure_channel(parts.netloc, OPTIONS)


class KServe:
    """One model behind this protocol. The server is told the model's time limit."""

    def __init__(self, channel: grpc.aio.Channel, model: Model) -> None:
        self._model = model
        # On the wire a call with one message each way is a stream: one path serves both methods.
        # Messages are bytes here, as the type of those that come back is not known before.
        method = STREAM if model.kserve.streaming else INFER
        self._ask: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
        key = model.api_key.reveal()
        self._metadata = (("authorization", f"Bearer {key}"),) if key else ()

    async def complete(self, question: Question) -> AsyncGenerator[Chunk, None]:
        """Ask the model and yield its answer as it comes; see `Provider`."""
        reader = AnswerReader(self._model)
        request = request_of(self._model, question.messages).SerializeToString()
        call = self._ask(iter((request,)), timeout=self._model.timeout, metadata=self._metadata)
        try:
            with _translated(Reason.UNREACHABLE):
                await call.wait_for_connection()
            with _translated(Reason.DISCONNECTED):
                async for message in call:
                    if chunk := reader.feed(message):
                        yield chunk
            yield reader.finish()
        finally:
            call.cancel()


@contextlib.contextmanager
def _translated(unavailable: Reason) -> Iterator[None]:
    """Let no error of gRPC out, not as a cause either: its text is the server's, and may quote."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        reason, status = FAILURES.get(error.code(), (Reason.SERVER_ERROR, 0))
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            reason = unavailable
        detail = error.code().name
        raise ModelFailed(reason, status=status, after=_pushback(error), detail=detail) from None


def _pushback(error: grpc.aio.AioRpcError) -> float | None:
    """Return the seconds that the server wishes to be left alone, if it says so."""
    named = (error.trailing_metadata() or grpc.aio.Metadata()).get(PUSHBACK, "")
    return int(named) / 1000 if isinstance(named, str) and named.isdecimal() else None
