"""The connection to NATS JetStream: publish until acknowledged, pull, read, follow.

Rules kept here (docs/adr/0002): every publish carries an id and is repeated with the same id until
the broker acknowledges it; an exception never proves that nothing was stored.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
import nats
import nats.errors
from msgspec import Struct
from nats.aio.client import Client
from nats.js.object_store import ObjectStore

from queqiao_common import telemetry
from queqiao_common.errors import BrokerUnavailable, PermanentError, TransientError
from queqiao_common.events import Event, encode
from queqiao_common.settings import Nats
from queqiao_common.topology import SUBJECT_OF, Stream

log = logging.getLogger(__name__)

TRY_TIMEOUT = 1.5
WRONG_REVISION = frozenset({10071, 10164})
STREAM_FULL = 10077
STREAM_NOT_FOUND = 10059
WAITING = 5.0
"""Seconds of one publish after which the log says that it waits, and for what."""
NO_RESPONDERS = "503"
NOT_SENT = (nats.errors.ConnectionClosedError, nats.errors.OutboundBufferLimitError)


class Raw(Protocol):
    """A message as the client library hands it over."""

    subject: str
    reply: str
    data: bytes
    headers: dict[str, str] | None


class PubAck(Struct, frozen=True):
    """The broker's word that an event is stored; `duplicate` when it already was."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False


class _Problem(Struct, frozen=True):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(PubAck, frozen=True):
    error: _Problem | None = None


class Stored(Struct, frozen=True):
    """An event read back from its stream by sequence; its own headers and the broker's on top."""

    subject: str
    sequence: int
    data: bytes
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class Refused(PermanentError):  # noqa: N818 - the broker's word, with its number
    """JetStream refused a request for a reason that a repeat cannot cure."""

    def __init__(self, what: str, problem: _Problem) -> None:
        self.reason = f"{problem.description}, {problem.err_code}"
        super().__init__(f"{what}: {problem.description} ({problem.err_code})")
        self.code = problem.code
        self.err_code = problem.err_code


class StreamFull(BrokerUnavailable):
    """The stream has reached its limit: back-pressure, to be passed on."""


class WrongRevision(TransientError):  # noqa: N818 - the broker's word
    """Somebody else (or our own lost acknowledgement) wrote this key first."""


_decode_answer = msgspec.json.Decoder(_Answer).decode


class Bus:
    """One connection to the broker, used by everything in a process."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.reconnects = 0
        self.closing = False
        self._on_reconnect: list[Callable[[], None]] = []
        self._on_missing: list[Callable[[], None]] = []
        self._asked = 0
        self._answers: dict[str, asyncio.Future[Raw]] = {}
        self._inbox = ""
        self._stalled = 0

    @property
    def is_stalled(self) -> bool:
        """Whether something has waited for 5 s or longer to be stored: full, or without a leader.

        What is read can still be read; what is written waits, and the callers are told.
        """
        return self._stalled > 0

    @property
    def connected(self) -> bool:
        """Whether the broker can be spoken to right now."""
        return bool(self._client.is_connected)

    def when_reconnected(self, call: Callable[[], None]) -> None:
        """Run `call` after every reconnect, before anything else is sent."""
        self._on_reconnect.append(call)

    def when_missing(self, call: Callable[[], None]) -> None:
        """Run `call` whenever a stream or consumer that we were told of is found not to exist."""
        self._on_missing.append(call)

    def missing(self) -> None:
        """Say that the broker does not know something of the topology (or has no leader for it)."""
        for call in self._on_missing:
            call()

    async def _reconnected(self) -> None:
        self.reconnects += 1
        log.warning("nats.reconnected", extra={"count": self.reconnects})
        for call in self._on_reconnect:
            call()

    # -- requests ---------------------------------------------------------------------------

    async def request(
        self,
        subject: str,
        body: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        timeout: float = TRY_TIMEOUT,
    ) -> Raw:
        """Send one request and return its answer.

        Raises:
            BrokerUnavailable: no answer within `timeout` seconds, or nobody listens.
        """
        loop = asyncio.get_running_loop()
        self._asked += 1
        token = str(self._asked)
        answer = self._answers[token] = loop.create_future()
        timer = loop.call_later(timeout, _expire, answer)
        try:
            await self._client.publish(subject, body, reply=self._inbox + token, headers=headers)
            found: Raw = await answer
        except (nats.errors.Error, TimeoutError) as error:
            raise BrokerUnavailable(f"{subject}: {type(error).__name__}") from error
        finally:
            timer.cancel()
            self._answers.pop(token, None)
        if not found.data and found.headers and found.headers.get("Status") == NO_RESPONDERS:
            self.missing()
            raise BrokerUnavailable(f"{subject}: nobody listens")
        return found

    async def open(self) -> None:
        """Hear the answers to our requests, on one subscription for all."""
        self._inbox = f"{self.new_inbox()}."
        await self.subscribe(f"{self._inbox}*", self._answered)

    async def _answered(self, raw: Raw) -> None:
        waiting = self._answers.get(raw.subject[len(self._inbox) :])
        if waiting is not None and not waiting.done():
            waiting.set_result(raw)

    async def api(self, verb: str, body: object = None, *, timeout: float = 5.0) -> bytes:
        """Call the JetStream API (`$JS.API.<verb>`) and return the JSON answer.

        Raises:
            Refused: with JetStream's own error code.
            BrokerUnavailable: no answer.
        """
        payload = b"" if body is None else msgspec.json.encode(body)
        answer = await self.request(f"$JS.API.{verb}", payload, timeout=timeout)
        problem = _decode_answer(answer.data).error
        if problem is not None:
            raise Refused(verb, problem)
        return answer.data

    async def object_store(self, name: str) -> ObjectStore:
        """Open an object store of the topology.

        Raises:
            nats.errors.Error: it does not exist, or the broker does not answer.
        """
        return await self._client.jetstream().object_store(name)

    # -- publishing -------------------------------------------------------------------------

    async def publish(
        self,
        subject: str,
        body: bytes,
        *,
        event_id: str = "",
        headers: Mapping[str, str] | None = None,
        deadline: float = 30.0,
    ) -> PubAck:
        """Publish until JetStream acknowledges, for at most `deadline` seconds (`math.inf`: ever).

        Raises:
            StreamFull: the stream is at its limit and stayed so.
            WrongRevision: the expected revision in `headers` is no longer the last.
            BrokerUnavailable: no acknowledgement in time; the event may be stored all the same.
            Refused: an error that no repeat can cure.
        """
        fields = dict(headers or {})
        if event_id:
            fields["Nats-Msg-Id"] = event_id
        began = time.monotonic()
        stop, noted = began + deadline, False
        try:
            for wait in _backoff():
                left = stop - time.monotonic()
                timeout = max(0.05, min(TRY_TIMEOUT, left))
                try:
                    answer = await self.request(
                        subject, body, headers=fields or None, timeout=timeout
                    )
                    return _acknowledged(subject, _decode_answer(answer.data))
                except WrongRevision:
                    raise
                except BrokerUnavailable as error:
                    now = time.monotonic()
                    if now + wait >= stop:
                        raise
                    if not noted and (noted := now - began >= WAITING):
                        self._stalled += 1
                        log.warning("publish.waiting", extra={"error": str(error)})
                await asyncio.sleep(wait)
        finally:
            self._stalled -= noted
        raise AssertionError("the backoff never ends")

    async def publish_event(
        self, event: Event, *, parent: Mapping[str, str] | None = None, deadline: float = 30.0
    ) -> PubAck:
        """Publish an event on its subject, in a `send` span under `parent` or the current span."""
        subject = SUBJECT_OF[type(event)]
        with telemetry.send_span(subject.template, event_id=event.id, parent=parent) as headers:
            return await self.publish(
                subject.of(event),
                encode(event),
                event_id=event.id,
                headers=headers,
                deadline=deadline,
            )

    async def schedule(
        self,
        event: Event,
        *,
        due_ms: int,
        parent: Mapping[str, str] | None = None,
        deadline: float = 30.0,
    ) -> PubAck:
        """Have the broker itself publish a `TurnTimeout` at `due_ms` (nats-server 2.12 or later).

        One conversation has one timer: a later one replaces it. It may fire late, or twice.
        """
        subject = SUBJECT_OF[type(event)]
        due = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(-(-due_ms // 1000)))
        with telemetry.send_span("timer", event_id=event.id, parent=parent) as headers:
            headers |= {
                "Nats-Schedule": f"@at {due}",
                "Nats-Schedule-Target": subject.of(event),
            }
            timer = f"timer.{event.account}.{getattr(event, 'conv', event.id)}"
            return await self.publish(timer, encode(event), headers=headers, deadline=deadline)

    async def tell(self, subject: str, body: bytes = b"", *, reply: str = "") -> None:
        """Send without waiting: acknowledgements, heartbeats, pull requests."""
        with contextlib.suppress(*NOT_SENT):
            await self._client.publish(subject, body, reply=reply)

    # -- reading ----------------------------------------------------------------------------

    async def read_next(
        self, stream: Stream, subject: str, after: int, *, since_ms: int = 0
    ) -> Stored | None:
        """Return the first event of `subject` stored after sequence `after`, or None.

        Where `after` is 0, `since_ms` (Unix time) leaves out what was stored earlier.
        """
        query: dict[str, object] = {"seq": after + 1, "next_by_subj": subject}
        if since_ms and not after:
            stamp = datetime.fromtimestamp(since_ms / 1000, UTC).isoformat()
            query = {"start_time": stamp, "next_by_subj": subject}
        return await self._read(stream, query)

    async def read(self, stream: Stream, sequence: int) -> Stored | None:
        """Return the event with this sequence, or None where it is no longer stored."""
        return await self._read(stream, {"seq": sequence})

    async def _read(self, stream: Stream, query: dict[str, object]) -> Stored | None:
        body = msgspec.json.encode(query)
        answer = await self.request(f"$JS.API.DIRECT.GET.{stream.name}", body)
        fields = answer.headers or {}
        if "Nats-Sequence" not in fields:
            return None
        subject, sequence = fields["Nats-Subject"], int(fields["Nats-Sequence"])
        return Stored(subject, sequence, answer.data, fields)

    async def subscribe(
        self, subject: str, call: Callable[[Raw], Awaitable[None]]
    ) -> Callable[[], Awaitable[None]]:
        """Call `call` for each message on `subject`; returns the way to stop it."""
        subscription = await self._client.subscribe(
            subject,
            cb=call,
            pending_msgs_limit=-1,
            pending_bytes_limit=-1,
        )

        async def stop() -> None:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

        return stop

    def new_inbox(self) -> str:
        """Return a subject that only this connection listens to."""
        return str(self._client.new_inbox())

    async def close(self, *, flush: float = 3.0) -> None:
        """Flush what was told, then close. Not `drain`: it can hang for its whole timeout."""
        self.closing = True
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            await self._client.flush(timeout=max(1, int(flush)))
        await self._client.close()


def _acknowledged(subject: str, answer: _Answer) -> PubAck:
    problem = answer.error
    if problem is None:
        return answer
    if problem.err_code in WRONG_REVISION:
        raise WrongRevision(subject)
    if problem.err_code == STREAM_FULL:
        raise StreamFull(f"{subject}: {problem.description}")
    if problem.code in {429, 503}:
        raise BrokerUnavailable(f"{subject}: {problem.description}")
    raise Refused(subject, problem)


def _expire(answer: asyncio.Future[Raw]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


def _backoff() -> Iterator[float]:
    return itertools.chain((0.05, 0.1, 0.2, 0.4, 0.8), itertools.repeat(1.0))


async def connect(
    settings: Nats,
    name: str,
    *,
    on_closed: Callable[[], None] | None = None,
    within: float = 30.0,
) -> Bus:
    """Connect, and stay connected for as long as the process lives.

    Raises:
        BrokerUnavailable: nobody answered at the address within `within` seconds.
    """
    client = Client()
    bus = Bus(client)

    async def closed() -> None:
        if on_closed is not None:
            on_closed()

    async def failed(error: Exception) -> None:
        # Missing rights are reported here alone (and as time-outs), so the line must be seen.
        log.warning("nats.error", extra={"error": type(error).__name__, "detail": str(error)})

    async def disconnected() -> None:
        if not bus.closing:
            log.warning("nats.disconnected")

    try:
        async with asyncio.timeout(within):
            await client.connect(
                servers=settings.url.split(","),
                name=name,
                inbox_prefix=f"_INBOX_{name}",
                max_reconnect_attempts=-1,
                connect_timeout=2,
                ping_interval=5,
                max_outstanding_pings=2,
                allow_reconnect=True,
                closed_cb=closed,
                error_cb=failed,
                disconnected_cb=disconnected,
                reconnected_cb=bus._reconnected,
                pending_size=8 * 1024 * 1024,
                **_credentials(settings),
            )
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"no broker at {settings.url}: {type(error).__name__}") from error
    await bus.open()
    return bus


def _credentials(settings: Nats) -> dict[str, Any]:
    """Return the client's options that prove who we are, and a quick reconnect."""
    options: dict[str, Any] = {"reconnect_time_wait": 0.25}  # the library says int, and takes it
    if settings.user:
        options |= {"user": settings.user, "password": settings.password.reveal()}
    if settings.creds:
        options["user_credentials"] = settings.creds
    if settings.nkey_seed_file:
        options["nkeys_seed"] = settings.nkey_seed_file
    if settings.tls is not None:
        options["tls"] = settings.tls.context()
    return options
