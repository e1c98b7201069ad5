"""Traces, metrics and logs: one vocabulary for all five services.

One message is one trace: the publisher's span is the parent of the consumer's (Jaeger draws
parents, not links), carried in the `traceparent` header. OpenTelemetry is configured by the
standard `OTEL_*` variables alone; with no exporter configured spans are not recorded, but trace
ids exist all the same, so that logs can be joined.
"""

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
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
DELIVERY_ATTEMPT = "messaging.nats.delivery_count"
QUEUE_MS = "queqiao.queue_ms"

_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("queqiao")

PROCESSED = Histogram(
    "queqiao_process_seconds",
    "Time to handle one event, by consumer and outcome.",
    ["consumer", "outcome"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
PUBLISHED = Counter("queqiao_published_total", "Events published, by hop.", ["hop"])
BUSY = Gauge("queqiao_busy_slots", "Events being handled now.", ["consumer"])
BURIED = Counter("queqiao_dead_letters_total", "Events given up.", ["consumer"])


def set_up(service: str) -> TracerProvider:
    """Install the tracer provider and the log format of one process."""
    exporting = (
        bool(
            settings.environment("OTEL_EXPORTER_OTLP_ENDPOINT")
            or settings.environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        )
        and settings.environment("OTEL_TRACES_EXPORTER", "otlp") != "none"
    )
    name = settings.environment("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(
        resource=Resource.create({"service.name": name}),
        sampler=None if exporting else ParentBased(ALWAYS_OFF),
    )
    if exporting:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=16_384))
    trace.set_tracer_provider(provider)
    _set_up_logs(name)
    return provider


def current_headers() -> dict[str, str]:
    """Return the current trace context as message headers."""
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers


def trace_id() -> str:
    """Return the current trace id in hex, or nothing outside a trace."""
    span = trace.get_current_span().get_span_context()
    return format(span.trace_id, "032x") if span.is_valid else ""


@contextmanager
def send_span(
    hop: str, *, event_id: str, parent: Mapping[str, str] | None = None
) -> Iterator[dict[str, str]]:
    """Open a `send <hop>` span and yield the headers that carry it."""
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
    PUBLISHED.labels(hop).inc()
    try:
        yield headers
    except BaseException as error:
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        span.end()


@contextmanager
def process_span(
    hop: str, *, consumer: str, headers: Mapping[str, str], attempt: int, queue_ms: int
) -> Iterator[Span]:
    """Open a `process <hop>` span whose parent is the publisher's span, and make it current."""
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
    with _tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False
    ) as span:
        yield span


@contextmanager
def server_span(name: str, **attributes: str | float | bool) -> Iterator[Span]:
    """Open the root span of a callback. WeChat sends no trace context, so none is read."""
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
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attributes(attributes)


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
    # Their lines carry addresses with tokens in the query, or repeat what our own lines say.
    for noisy in ("httpx", "httpcore", "uvicorn.access", "uvicorn.error", "nats", "opentelemetry"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
