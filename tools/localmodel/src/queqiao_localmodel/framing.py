"""HTTP/1.1 responses as bytes. Pure."""

from http import HTTPStatus
from typing import Any

import msgspec

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/event-stream\r\n"
    b"Cache-Control: no-store\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
END_OF_STREAM = b"0\r\n\r\n"


def event(payload: bytes) -> bytes:
    """One server-sent event as one HTTP chunk, as real servers send it."""
    return b"%x\r\ndata: %s\n\n\r\n" % (len(payload) + 8, payload)


def head(status: int, length: int, *, content_type: str, retry_after: float | None = None) -> bytes:
    """Status line and headers of a response whose body has `length` bytes."""
    lines = [
        f"HTTP/1.1 {status} {_reason(status)}",
        f"Content-Type: {content_type}",
        f"Content-Length: {length}",
    ]
    if retry_after is not None:
        lines.append(f"Retry-After: {retry_after:g}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def response(status: int, body: bytes, *, content_type: str = "application/json") -> bytes:
    """A whole response."""
    return head(status, len(body), content_type=content_type) + body


def json_response(status: int, value: Any) -> bytes:
    """A whole response that holds a value as JSON."""
    return response(status, msgspec.json.encode(value))


def refusal(status: int, message: str, *, retry_after: float | None = None) -> bytes:
    """An error in OpenAI's shape."""
    error = {"message": message, "type": _error_type(status), "param": None, "code": status}
    body = msgspec.json.encode({"error": error})
    return head(status, len(body), content_type="application/json", retry_after=retry_after) + body


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _error_type(status: int) -> str:
    match status:
        case 401:
            return "authentication_error"
        case 429:
            return "rate_limit_error"
        case _ if status < 500:
            return "invalid_request_error"
        case _:
            return "server_error"
