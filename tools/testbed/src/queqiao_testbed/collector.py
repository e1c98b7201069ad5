"""A trace collector for tests: takes OTLP over HTTP and keeps every span with its service."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI, Request, Response
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class SeenSpan:
    """What an independent reader sees of a span."""

    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass
class Collector:
    """The spans received so far, and where to send more."""

    endpoint: str
    spans: list[SeenSpan] = field(default_factory=list)

    def trace(self, trace_id: str) -> list[SeenSpan]:
        """Return the spans of one trace."""
        return [span for span in self.spans if span.trace_id == trace_id]


@contextlib.asynccontextmanager
async def collecting(port: int) -> AsyncIterator[Collector]:
    """Listen on loopback while the context is open."""
    collector = Collector(f"http://127.0.0.1:{port}")
    app = FastAPI(openapi_url=None, telemetry={"tracing": False})

    @app.post("/v1/traces")
    async def take(request: Request) -> Response:
        collector.spans.extend(read_spans(await request.body()))
        return Response(b"", media_type="application/x-protobuf")

    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off")
    )
    serving = asyncio.create_task(server.serve())
    try:
        yield collector
    finally:
        server.should_exit = True
        await serving


def read_spans(body: bytes) -> list[SeenSpan]:
    """Decode one export request."""
    request = ExportTraceServiceRequest.FromString(body)
    return [
        SeenSpan(
            service=next(
                (
                    one.value.string_value
                    for one in group.resource.attributes
                    if one.key == "service.name"
                ),
                "",
            ),
            name=span.name,
            kind=span.kind,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            attributes={
                one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value")
                for one in span.attributes
            },
        )
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]
