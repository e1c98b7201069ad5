"""Traces, metrics and logs: one vocabulary for all five services.

One message is one trace: the publisher's span is the parent of the consumer's (Jaeger draws
parents, not links), carried in the `traceparent` header. OpenTelemetry is configured by the
standard `OTEL_*` variables alone. With no exporter configured there are no spans at all (they
cost a tenth of the CPU of a message), but trace ids are made and passed on all the same, so that
logs can be joined.
"""

import logging
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import msgspec
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from prometheus_client import Counter, Gauge, Histogram

from queqiao_common import settings

TURN_ID = "queqiao.turn.id"
CONV = "queqiao.conversation"
ATTEMPT = "queqiao.attempt"
VERDICT = "queqiao.verdict"
ACCOUNT = "queqiao.account"
PLAN = "queqiao.plan"
VIA = "queqiao.via"
PERSONA = "queqiao.persona"
HANDED = "queqiao.handed"
DELIVERY_ATTEMPT = "messaging.nats.delivery_count"
QUEUE_MS = "queqiao.queue_ms"

_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("queqiao")
TRACEPARENT = "traceparent"
_unrecorded: ContextVar[str] = ContextVar("unrecorded", default="")
"""The trace context of the work at hand while nothing is exported, as its header says it."""

PROCESSED = Histogram(
    "queqiao_process_seconds",
    "Time to handle one event, by consumer and outcome.",
    ["consumer", "outcome"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
PUBLISHED = Counter("queqiao_published_total", "Events published, by hop.", ["hop"])
_published = cache(PUBLISHED.labels)
BUSY = Gauge("queqiao_busy_slots", "Events being handled now.", ["consumer"])
DEGRADED = Gauge("queqiao_degraded", "1 while the service works in this mode.", ["mode"])
BURIED = Counter("queqiao_dead_letters_total", "Events given up.", ["consumer"])


def is_exporting() -> bool:
    """Whether the standard variables name somebody who collects spans."""
    return (
        bool(
            settings.environment("OTEL_EXPORTER_OTLP_ENDPOINT")
            or settings.environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        )
        and settings.environment("OTEL_TRACES_EXPORTER", "otlp") != "none"
    )


EXPORTING = is_exporting()


def set_up(service: str) -> TracerProvider:
    """Install the tracer provider and the log format of one process."""
    name = settings.environment("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    if EXPORTING:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=16_384))
    trace.set_tracer_provider(provider)
    _set_up_logs(name)
    return provider


def current_headers() -> dict[str, str]:
    """Return the current trace context as message headers."""
    if not EXPORTING:
        return _headers(_unrecorded.get())
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers


def trace_id() -> str:
    """Return the current trace id in hex, or nothing outside a trace."""
    if not EXPORTING:
        return _unrecorded.get()[3:35]
    span = trace.get_current_span().get_span_context()
    return format(span.trace_id, "032x") if span.is_valid else ""


def _headers(traceparent: str) -> dict[str, str]:
    return {TRACEPARENT: traceparent} if traceparent else {}


class _Unrecorded(AbstractContextManager[Span]):
    """Keeps a trace context while its work is done, without a span."""

    def __init__(self, traceparent: str) -> None:
        self._traceparent = traceparent

    def __enter__(self) -> Span:
        self._token = _unrecorded.set(self._traceparent)
        return trace.INVALID_SPAN

    def __exit__(self, *error: object) -> None:
        _unrecorded.reset(self._token)


def _new_traceparent() -> str:
    return f"00-{random.getrandbits(128) or 1:032x}-{random.getrandbits(64) or 1:016x}-00"


class Sending:
    """A `send <hop>` span, and the headers that carry it; it ends when `told` is called."""

    def __init__(self, headers: dict[str, str], span: Span | None = None) -> None:
        self.headers = headers
        self._span = span

    @property
    def told(self) -> Callable[[BaseException | None], None] | None:
        """What is to be called once the event is stored, or with why it is not; None: nothing."""
        return None if self._span is None else self._end

    def _end(self, error: BaseException | None) -> None:
        if self._span is None:
            return
        if error is not None:
            self._span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        self._span.end()


def sending(hop: str, *, event_id: str, parent: Mapping[str, str] | None = None) -> Sending:
    """Open a `send <hop>` span under `parent`, or under the current span."""
    _published(hop).inc()
    if not EXPORTING:
        return Sending(_headers((parent or {}).get(TRACEPARENT) or _unrecorded.get()))
    within = _propagator.extract(parent) if parent else None
    span = _tracer.start_span(
        f"send {hop}",
        within,
        SpanKind.PRODUCER,
        attributes={
            "messaging.system": "nats",
            "messaging.operation.type": "send",
            "messaging.destination.name": hop,
            "messaging.message.id": event_id,
        },
    )
    headers: dict[str, str] = {}
    _propagator.inject(headers, trace.set_span_in_context(span))
    return Sending(headers, span)


def process_span(
    hop: str, *, consumer: str, headers: Mapping[str, str], attempt: int, queue_ms: int
) -> AbstractContextManager[Span]:
    """Open a `process <hop>` span whose parent is the publisher's span, and make it current."""
    if not EXPORTING:
        return _Unrecorded(headers.get(TRACEPARENT, ""))
    return _process_span(hop, consumer, headers, attempt, queue_ms)


@contextmanager
def _process_span(
    hop: str, consumer: str, headers: Mapping[str, str], attempt: int, queue_ms: int
) -> Iterator[Span]:
    span = _tracer.start_span(
        f"process {hop}",
        _propagator.extract(headers),
        SpanKind.CONSUMER,
        attributes={
            "messaging.system": "nats",
            "messaging.operation.type": "process",
            "messaging.destination.name": hop,
            "messaging.consumer.group.name": consumer,
            "messaging.message.id": headers.get("Nats-Msg-Id", ""),
            DELIVERY_ATTEMPT: attempt,
            QUEUE_MS: queue_ms,
        },
    )
    token = otel_context.attach(trace.set_span_in_context(span))
    try:
        yield span
    finally:
        otel_context.detach(token)
        span.end()


@contextmanager
def client_span(name: str, **attributes: str | float | bool) -> Iterator[Span]:
    """Open a span around a call to an outside system (a model, WeChat) and make it current."""
    if not EXPORTING:
        yield trace.INVALID_SPAN
        return
    with _tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False
    ) as span:
        yield span


@contextmanager
def server_span(name: str, **attributes: str | float | bool) -> Iterator[Span]:
    """Open the root span of a callback. WeChat sends no trace context, so none is read."""
    if not EXPORTING:
        with _Unrecorded(_new_traceparent()) as span:
            yield span
        return
    with _tracer.start_as_current_span(
        name,
        context=otel_context.Context(),
        kind=SpanKind.SERVER,
        attributes=attributes,
        record_exception=False,
    ) as span:
        yield span


def note(attributes: Mapping[str, AttributeValue]) -> None:
    """Add attributes to the current span."""
    if not EXPORTING:
        return
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attributes(attributes)


NOISY = (
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "nats",
    "opentelemetry",
    "uvicorn.access",
    "uvicorn.error",
)
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: a constant event name, its fields beside it, and the trace id."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        line: dict[str, Any] = {
            "time": _stamp(record.created),
            "level": record.levelname.lower(),
            "service": self._service,
            "event": record.getMessage(),
        }
        line |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if identity := trace_id():
            line["trace_id"] = identity
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._encode(line).decode()


def _stamp(created: float) -> str:
    return (
        f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(created))}.{int(created % 1 * 1000):03d}Z"
    )


def _set_up_logs(service: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(
        handlers=[handler],
        level=settings.environment("QUEQIAO_LOG_LEVEL", "INFO").upper(),
        force=True,
    )
    # Nobody reads these of a record; the first takes a walk up the stack (logging, Optimization).
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # Their lines carry addresses with tokens in the query, or repeat what our own lines say.
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
