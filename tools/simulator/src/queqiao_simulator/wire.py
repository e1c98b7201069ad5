"""HTTP towards callbacks: connections that the simulator owns and can cut, as the platform does.

One exchange at a time on a connection. A general client would hide the two things this must
decide: when the five seconds begin, and that the connection is closed when they end.
"""

import asyncio
import ssl
from functools import cache, lru_cache
from typing import Literal, TypeAlias, cast
from urllib.parse import urlsplit

import httptools
from msgspec import Struct

IDLE_SECONDS = 2.0  # servers close idle connections after about 5 s: never race them
IDLE_CONNECTIONS = 256  # kept per origin
BODY_LIMIT_BYTES = 1 << 20

CHUNK_BYTES = 64

Failure: TypeAlias = Literal["timeout", "refused", "reset"]


class HttpAnswer(Struct, frozen=True):
    """A complete response."""

    status: int
    body: bytes


class Pace(Struct, frozen=True):
    """How a request is written: in how many segments, and over how many seconds."""

    pieces: int = 1
    seconds: float = 0.0


WHOLE = Pace()


class Broken(Exception):  # noqa: N818 - an outcome of the wire, not a fault of ours
    """No complete response: what happened, and on which side of the connection."""

    def __init__(self, failure: Failure, reason: str) -> None:
        super().__init__(reason)
        self.failure = failure


class Origin(Struct, frozen=True):
    """Where a connection leads."""

    host: str
    port: int
    tls: bool


@lru_cache(maxsize=256)
def address(url: str) -> tuple[Origin, str, str]:
    """Split a callback URL into its origin, path and query.

    Raises:
        ValueError: it is not an http or https URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"callback {url!r} is not an http or https URL")
    tls = parts.scheme == "https"
    origin = Origin(parts.hostname, parts.port or (443 if tls else 80), tls)
    return origin, parts.path or "/", parts.query


def request(
    method: str,
    url: str,
    query: str,
    body: bytes = b"",
    *,
    content_type: str = "text/xml",
    chunked: bool = False,
) -> bytes:
    """The bytes of a request, with the headers that the platform's pushes carry."""
    origin, path, own_query = address(url)
    target = f"{path}?{'&'.join(filter(None, (own_query, query)))}"
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: {origin.host}:{origin.port}\r\n"
        "User-Agent: Mozilla/4.0\r\nAccept: */*\r\nPragma: no-cache\r\n"
        f"Content-Type: {content_type}\r\n{length}\r\n\r\n"
    )
    return head.encode() + (_in_chunks(body) if chunked else body)


def _in_chunks(body: bytes) -> bytes:
    parts = [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def _segments(data: bytes, pieces: int) -> list[bytes]:
    size = -(-len(data) // pieces)
    return [data[at : at + size] for at in range(0, len(data), size)]


class Connection(asyncio.Protocol):
    """One TCP connection; httptools calls the `on_…` methods."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._size = 0
        self._framed = False

    @property
    def is_usable(self) -> bool:
        """Whether another request may be written."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_settled(self) -> bool:
        """Whether the last request got its whole response."""
        answer = self._answer
        return (
            answer is not None
            and answer.done()
            and not answer.cancelled()
            and (answer.exception() is None)
        )

    async def exchange(self, data: bytes, pace: Pace) -> HttpAnswer:
        """Write a request and wait for its response.

        Raises:
            Broken: the peer closed the connection, or did not speak HTTP.
        """
        assert self._transport is not None  # noqa: S101 - create_connection has connected it
        self._answer = asyncio.get_running_loop().create_future()
        self._body, self._size, self._framed = [], 0, False
        try:
            for number, segment in enumerate(_segments(data, pace.pieces)):
                if number:
                    await asyncio.sleep(pace.seconds / pace.pieces)
                self._transport.write(segment)
            return await self._answer
        except asyncio.CancelledError:
            self._answer.cancel()  # nobody waits for it any more
            raise

    def cut(self) -> None:
        """Close at once; what arrives later is lost."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes have arrived."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._break(f"not HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: closed, by whichever side."""
        # A response without a length ends with its connection.
        if self._body and not self._framed:
            self._complete()
        self._break(str(exc) if exc else "closed before the answer was complete")

    def on_header(self, name: bytes, _: bytes) -> None:
        """httptools: one header."""
        self._framed |= name.lower() in (b"content-length", b"transfer-encoding")

    def on_body(self, chunk: bytes) -> None:
        """httptools: a piece of the body."""
        self._size += len(chunk)
        if self._size > BODY_LIMIT_BYTES:
            self._break(f"the answer is longer than {BODY_LIMIT_BYTES} bytes")
        self._body.append(chunk)

    def on_message_complete(self) -> None:
        """httptools: the response is complete."""
        keep = self._parser.should_keep_alive()
        self._complete()
        if not keep:
            self.cut()

    def _complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            status = self._parser.get_status_code()
            self._answer.set_result(HttpAnswer(status, b"".join(self._body)))

    def _break(self, reason: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Broken("reset", reason))
        self.cut()


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class Wire:
    """Sends requests to callbacks, keeping connections alive between them."""

    def __init__(self, connect_timeout: float) -> None:
        self._connect_timeout = connect_timeout
        self._idle: dict[Origin, list[Connection]] = {}

    async def exchange(
        self, url: str, data: bytes, timeout: float, pace: Pace = WHOLE
    ) -> HttpAnswer:
        """Send one request; `timeout` seconds run from its sending to the end of its answer.

        Raises:
            Broken: no complete answer; after a timeout the connection has been closed.
        """
        origin, _, _ = address(url)
        connection = self._kept(origin) or await self._connect(origin)
        try:
            async with asyncio.timeout(timeout):
                answer = await connection.exchange(data, pace)
        except TimeoutError:
            raise Broken("timeout", f"no answer within {timeout:g} s") from None
        finally:
            self._keep(origin, connection)
        return answer

    def close(self) -> None:
        """Close every idle connection."""
        for connections in self._idle.values():
            for connection in connections:
                connection.cut()
        self._idle.clear()

    def _kept(self, origin: Origin) -> Connection | None:
        now = asyncio.get_running_loop().time()
        idle = self._idle.get(origin, [])
        while idle:
            connection = idle.pop()
            if connection.is_usable and now - connection.idle_since < IDLE_SECONDS:
                return connection
            connection.cut()
        return None

    def _keep(self, origin: Origin, connection: Connection) -> None:
        idle = self._idle.setdefault(origin, [])
        if connection.is_settled and connection.is_usable and len(idle) < IDLE_CONNECTIONS:
            connection.idle_since = asyncio.get_running_loop().time()
            idle.append(connection)
        else:
            connection.cut()

    async def _connect(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(
                    Connection, origin.host, origin.port, ssl=_tls() if origin.tls else None
                )
        except TimeoutError:
            reason = f"not connected within {self._connect_timeout:g} s"
            raise Broken("refused", reason) from None
        except OSError as error:
            raise Broken("refused", error.strerror or str(error)) from error
        return connection
