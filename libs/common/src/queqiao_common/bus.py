"""The connection to NATS JetStream: publish until acknowledged, pull, read, follow.

Rules kept here (docs/adr/0002): every publish carries an id and is repeated with the same id until
the broker acknowledges it; an exception never proves that nothing was stored.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec
import nats
import nats.errors
from nats.js.object_store import ObjectStore

from queqiao_common import telemetry
from queqiao_common.answers import (
    Hear,
    NobodyListens,
    PubAck,
    Raw,
    Refused,
    Stored,
    decode_answer,
)
from queqiao_common.errors import BrokerUnavailable, QueqiaoError
from queqiao_common.events import Event, encode
from queqiao_common.publication import TRY_TIMEOUT, Publication
from queqiao_common.settings import Nats
from queqiao_common.topology import REPLICA, SUBJECT_OF, Stream
from queqiao_common.wire import Hearer, Wire

log = logging.getLogger(__name__)

SOON = 0.01
"""Seconds for which an acknowledgement may be held back; `ack_wait` is a thousand times longer."""
NO_RESPONDERS = "503"
TO_REPLICAS = REPLICA.split("{", 1)[0]
NOT_SENT = (nats.errors.ConnectionClosedError, nats.errors.OutboundBufferLimitError)


class _Asked(NamedTuple):
    subject: str
    hear: Hear
    timer: asyncio.TimerHandle


class Bus:
    """One connection to the broker, used by everything in a process."""

    def __init__(self, client: Wire) -> None:
        self._client = client
        self.loop = client.loop
        self.reconnects = 0
        self.closing = False
        self._on_reconnect: list[Callable[[], None]] = []
        self._on_missing: list[Callable[[], None]] = []
        self._asked = 0
        self._answers: dict[str, _Asked] = {}
        self._inbox = ""
        self.stalled = 0
        self._held: list[tuple[str, bytes]] = []
        self._chores: set[asyncio.Task[None]] = set()

    @property
    def is_stalled(self) -> bool:
        """Whether something has waited for 5 s or longer to be stored: full, or without a leader.

        What is read can still be read; what is written waits, and the callers are told.
        """
        return self.stalled > 0

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
            BrokerUnavailable: no answer within `timeout` seconds.
            NobodyListens: there will be none.
        """
        answer: asyncio.Future[Raw | BrokerUnavailable]
        answer = self.loop.create_future()
        await self._ask(subject, body, headers, timeout, partial(_set, answer))
        found = await answer
        if isinstance(found, BrokerUnavailable):
            raise found
        return found

    async def _ask(
        self, subject: str, body: bytes, headers: dict[str, str] | None, timeout: float, hear: Hear
    ) -> None:
        """Send one request and have `hear` called once: with its answer, or with why there is none.

        No future and no task, since everything that is published comes through here.
        """
        self._asked += 1
        token = str(self._asked)
        timer = self.loop.call_later(timeout, self._expire, token)
        self._answers[token] = _Asked(subject, hear, timer)
        try:
            if self._held:
                await self._let_go()
            await self._client.publish(subject, body, reply=self._inbox + token, headers=headers)
        except nats.errors.Error as error:
            self._expire(token, type(error).__name__)

    def _expire(self, token: str, why: str = TimeoutError.__name__) -> None:
        asked = self._answers.pop(token, None)
        if asked is not None:
            asked.timer.cancel()
            asked.hear(BrokerUnavailable(f"{asked.subject}: {why}"))

    async def open(self) -> None:
        """Hear the answers to our requests, on one subscription for all."""
        self._inbox = f"{self.new_inbox()}."
        await self.subscribe(f"{self._inbox}*", self._answered)

    def _answered(self, raw: Raw) -> None:
        asked = self._answers.pop(raw.subject[len(self._inbox) :], None)
        if asked is None:
            return
        asked.timer.cancel()
        if not raw.data and raw.headers and raw.headers.get("Status") == NO_RESPONDERS:
            if not asked.subject.startswith(TO_REPLICAS):
                self.missing()
            asked.hear(NobodyListens(f"{asked.subject}: nobody listens"))
        else:
            asked.hear(raw)

    async def api(self, verb: str, body: object = None, *, timeout: float = 5.0) -> bytes:
        """Call the JetStream API (`$JS.API.<verb>`) and return the JSON answer.

        Raises:
            Refused: with JetStream's own error code.
            BrokerUnavailable: no answer.
        """
        payload = b"" if body is None else msgspec.json.encode(body)
        answer = await self.request(f"$JS.API.{verb}", payload, timeout=timeout)
        problem = decode_answer(answer.data).error
        if problem is not None and problem.is_passing:
            raise BrokerUnavailable(f"{verb}: {problem.description}")
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
        sent = await self.send(subject, body, event_id=event_id, headers=headers, deadline=deadline)
        return await sent.stored()

    async def send(
        self,
        subject: str,
        body: bytes,
        *,
        event_id: str = "",
        headers: Mapping[str, str] | None = None,
        deadline: float = 30.0,
        told: Callable[[QueqiaoError | None], None] | None = None,
    ) -> Publication:
        """Send at once, and repeat until JetStream acknowledges: see `publish`, and `stored()`.

        `told` is called when it is stored, or with why it is not.
        """
        fields = dict(headers or {})
        if event_id:
            fields["Nats-Msg-Id"] = event_id
        publication = Publication(self, subject, body, fields or None, deadline, told)
        timeout = max(0.05, min(TRY_TIMEOUT, deadline))
        await self._ask(subject, body, publication.headers, timeout, publication.hear)
        return publication

    def busy_with(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Keep a task of ours until it is done."""
        task = self.loop.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task

    async def publish_event(
        self, event: Event, *, parent: Mapping[str, str] | None = None, deadline: float = 30.0
    ) -> PubAck:
        """Publish an event on its subject, in a `send` span under `parent` or the current span."""
        return await (await self.send_event(event, parent=parent, deadline=deadline)).stored()

    async def send_event(
        self, event: Event, *, parent: Mapping[str, str] | None = None, deadline: float = 30.0
    ) -> Publication:
        """Send an event as `publish_event` does, and return before it is stored."""
        subject = SUBJECT_OF[type(event)]
        sending = telemetry.sending(subject.template, event_id=event.id, parent=parent)
        return await self.send(
            subject.of(event),
            encode(event),
            event_id=event.id,
            headers=sending.headers,
            deadline=deadline,
            told=sending.told,
        )

    async def schedule(
        self,
        event: Event,
        *,
        due_ms: int,
        parent: Mapping[str, str] | None = None,
        deadline: float = 30.0,
    ) -> Publication:
        """Have the broker itself publish a `TurnTimeout` at `due_ms` (nats-server 2.12 or later).

        One conversation has one timer: a later one replaces it. It may fire late, or twice.
        """
        subject = SUBJECT_OF[type(event)]
        due = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(-(-due_ms // 1000)))
        sending = telemetry.sending("timer", event_id=event.id, parent=parent)
        headers = sending.headers | {
            "Nats-Schedule": f"@at {due}",
            "Nats-Schedule-Target": subject.of(event),
        }
        timer = f"timer.{event.account}.{getattr(event, 'conv', event.id)}"
        return await self.send(
            timer, encode(event), headers=headers, deadline=deadline, told=sending.told
        )

    async def tell(self, subject: str, body: bytes = b"", *, reply: str = "") -> None:
        """Send without waiting: heartbeats, pull requests, what cannot be handled."""
        with contextlib.suppress(*NOT_SENT):
            await self._client.publish(subject, body, reply=reply)

    def tell_soon(self, subject: str, body: bytes) -> None:
        """Send with whatever is sent next, or in `SOON` seconds: acknowledgements.

        Nobody waits for them, and each on its own would wake this process's kernel and the broker.
        """
        if not self._held:
            self.loop.call_later(SOON, lambda: self._held and self.busy_with(self._let_go()))
        self._held.append((subject, body))

    async def _let_go(self) -> None:
        """Send what is held back."""
        held, self._held = self._held, []
        for subject, body in held:
            await self.tell(subject, body)

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

    async def subscribe(self, subject: str, hear: Hearer) -> Callable[[], Awaitable[None]]:
        """Call `hear` for each message on `subject`; returns the way to stop it.

        What is on its way by then is still heard: an event that is dropped comes again only when
        its `ack_wait` is over.
        """
        subscription = await self._client.listen(subject, hear)

        async def stop() -> None:
            with contextlib.suppress(nats.errors.Error):
                await self._client.leave(subscription)

        return stop

    def new_inbox(self) -> str:
        """Return a subject that only this connection listens to."""
        return str(self._client.new_inbox())

    async def close(self, *, flush: float = 3.0) -> None:
        """Flush what was told, then close. Not `drain`: it can hang for its whole timeout."""
        self.closing = True
        await self._let_go()
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            await self._client.flush(timeout=max(1, int(flush)))
        await self._client.close()
        for chore in tuple(self._chores):
            chore.cancel()


def _set(answer: asyncio.Future[Raw | BrokerUnavailable], found: Raw | BrokerUnavailable) -> None:
    if not answer.done():
        answer.set_result(found)


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
    client = Wire()
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
                skip_subject_validation=True,  # ours come from the topology's patterns
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
