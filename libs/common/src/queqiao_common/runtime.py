"""Start, health, drain, stop: what `main()` of every service is given."""

import asyncio
import contextlib
import gc
import logging
import math
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import prometheus_client
import uvicorn
import uvloop
from fastapi import FastAPI, Response
from msgspec import Struct
from starlette.types import ASGIApp

from queqiao_common import bus as bus_module
from queqiao_common import failpoints, provision, settings, telemetry
from queqiao_common.answers import Raw
from queqiao_common.bus import Bus
from queqiao_common.clock import AGAIN, BrokerClock
from queqiao_common.errors import QueqiaoError, SettingsError, TransientError
from queqiao_common.events import Event
from queqiao_common.follow import Follower
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.objects import JetStreamObjects
from queqiao_common.settings import SERVICE_SECRETS, Config
from queqiao_common.topology import DEFAULT_PORTS, UNDERTAKERS, Bucket, Consumer, Store, Subject
from queqiao_common.undertaker import Undertaker
from queqiao_common.worker import Buried, Handler, Worker, Yields

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)
T = TypeVar("T", bound=Struct)

HTTP_DRAIN = 6
"""Seconds that open HTTP requests may take: longer than a callback is ever held."""
PULLS = 5.0
"""Seconds until the last request for events has ended."""
DRAIN = 20.0
"""Seconds that work in hand may take after SIGTERM; the rest is redelivered to other replicas."""
FOLLOWERS = 2.0
FLUSH = 3.0
"""Seconds in which the broker has to have heard our last words."""
SPANS = 5.0
"""Seconds that the last spans may take to reach their collector."""
STOP_WITHIN = HTTP_DRAIN + 1 + PULLS + DRAIN + FOLLOWERS + FLUSH + SPANS
"""Seconds within which a process has ended, after the time for which its door stays open."""
RESTORE = 2.0
"""Seconds between two applications of the topology while something of it is missing."""
COMPLAIN = 30.0
"""Seconds between two log lines that somebody else should apply it."""


class Runtime:
    """The process around a service: its settings, its connection, its work, its HTTP port."""

    def __init__(self, service: str, config: Config, bus: Bus, *, stopping: asyncio.Event) -> None:
        self.service = service
        self.config = config
        self.bus = bus
        self.app = FastAPI(
            title=f"Queqiao {service}",
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            # Its own spans would show query strings, which carry signatures and openids; the span
            # of a callback is ingress's own.
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        self.serves: ASGIApp = self.app  # what the port serves: whoever goes before `app`, or it
        self.stopping = stopping  # also set when the connection is closed for good
        self._is_planned = False
        self._hurry = asyncio.Event()
        self._workers: dict[str, Worker[Any]] = {}
        self._chores: list[tuple[float, Callable[[], Awaitable[None]]]] = []
        self._followers: list[Follower] = []
        self._checks: dict[str, Callable[[], bool]] = {"broker": lambda: bus.connected}
        self._modes: dict[str, Callable[[], bool]] = {}
        self._restoring: asyncio.Task[None] | None = None
        bus.when_missing(self._restore)
        self.mode("storage", lambda: bus.is_stalled)
        self._clock = BrokerClock(bus)
        self.every(AGAIN, self._clock.ask)
        self._add_health()

    def bucket(
        self, bucket: Bucket, kind: type[T], *, read: Callable[[bytes], T] | None = None
    ) -> JetStreamDocuments[T]:
        """Return a bucket whose documents are of one type; `read` decodes older releases' too.

        A write waits for as long as the bucket has no room; who cannot wait sets a limit of their
        own around it.
        """
        return JetStreamDocuments(self.bus, bucket, kind, read=read, patience=math.inf)

    def objects(self, store: Store) -> JetStreamObjects:
        """Return an object store."""
        return JetStreamObjects(self.bus, store)

    def consume(
        self,
        consumer: Consumer[E],
        handler: Handler[E],
        *,
        on_buried: Callable[[Buried], Yields] | None = None,
        slots: int | None = None,
    ) -> None:
        """Have `handler` called for each event of a durable consumer, once `run()` is reached."""
        self._workers[consumer.name] = Worker(
            self.bus, consumer, handler, on_buried=on_buried, slots=slots
        )

    def every(self, seconds: float, call: Callable[[], Awaitable[None]]) -> None:
        """Have `call` called again and again while the service works; a failure is only logged."""
        self._chores.append((seconds, call))

    def follow(
        self,
        subject: Subject[E],
        hear: Callable[[Raw], None],
        *,
        since: float,
        bodies: bool = True,
    ) -> Follower:
        """Have `hear` called in this replica for every event of a subject, from `since` s ago."""
        follower = Follower(
            self.bus,
            stream=subject.stream.name,
            subject=subject.filter,
            hear=hear,
            since=since,
            bodies=bodies,
        )
        self._followers.append(follower)
        return follower

    def follow_bucket(
        self, bucket: Bucket, hear: Callable[[Raw], None], *, since: float, keys: str = ">"
    ) -> None:
        """Have `hear` called in this replica for every write to a bucket's keys of this pattern."""
        self._followers.append(
            Follower(
                self.bus,
                stream=bucket.stream,
                subject=f"$KV.{bucket.name}.{keys}",
                hear=hear,
                since=since,
            )
        )

    def follow_store(self, store: Store, hear: Callable[[Raw], None], *, since: float) -> None:
        """Have `hear` called in this replica for what the broker tells of each changed object."""
        self._followers.append(
            Follower(
                self.bus,
                stream=store.stream,
                subject=f"$O.{store.name}.M.>",
                hear=hear,
                since=since,
            )
        )

    def check(self, name: str, is_ready: Callable[[], bool]) -> None:
        """Let `/readyz` depend on something more."""
        self._checks[name] = is_ready

    def now_ms(self) -> int:
        """Return the time that all replicas agree on (Unix ms)."""
        return self._clock.now_ms()

    async def ask_the_time(self) -> None:
        """Go by the broker's clock from here on, if it says what time it is."""
        with contextlib.suppress(QueqiaoError):
            await self._clock.ask()

    def mode(self, name: str, is_on: Callable[[], bool]) -> None:
        """Show on `/readyz` and as a metric whether the service is degraded in this way.

        It is ready all the same: what it does meanwhile is the best that can be done.
        """
        self._modes[name] = is_on
        telemetry.DEGRADED.labels(name).set_function(lambda: float(is_on()))

    def stop(self, *, planned: bool = False) -> None:
        """Stop; where that is `planned`, somebody else goes on, and has to be let know.

        Whoever says it twice does not want to wait for that.
        """
        if self.stopping.is_set() or not planned:
            self._hurry.set()
        self._is_planned = planned
        self.stopping.set()

    async def run(self, *, linger: float = 0.0) -> None:
        """Work until the process is told to stop, then finish what is in hand.

        A planned stop begins with `linger` seconds in which all goes on, but `/readyz` says
        "stopping": whoever sends requests goes elsewhere before any is refused. Then the door is
        closed and open requests are answered, then pulling stops, then the events in hand are
        finished (at most 20 s).
        """
        server = _server(self.serves, _port(self.service))
        self._bury_what_is_given_up()
        workers = self._workers.values()
        pulls = [asyncio.create_task(worker.run()) for worker in workers]
        chores = [asyncio.create_task(_again_and_again(*chore)) for chore in self._chores]
        follows = [asyncio.create_task(follower.run()) for follower in self._followers]
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(self.stopping.wait())
        log.info("service.started", extra={"http_port": server.config.port})
        await asyncio.wait([serving, stopping, *pulls], return_when=asyncio.FIRST_COMPLETED)
        crashed = [task for task in (serving, *pulls) if task.done()]
        log.info("service.stopping")
        if self._is_planned and not crashed:
            await self._see_off(server, linger)
        server.should_exit = True
        await asyncio.wait([serving], timeout=HTTP_DRAIN + 1)
        for chore in chores:
            chore.cancel()
        for worker in workers:
            worker.stop()
        if pulls:
            await asyncio.wait(pulls, timeout=PULLS)
        drained = await asyncio.gather(*(worker.drain(DRAIN) for worker in workers))
        for follower in self._followers:
            follower.stop()
        if follows:
            await asyncio.wait(follows, timeout=FOLLOWERS)
        stopping.cancel()
        log.info("service.stopped", extra={"drained": all(drained)})
        for task in crashed:
            task.result()

    async def _see_off(self, server: uvicorn.Server, linger: float) -> None:
        """Answer as before, but end each connection with its next answer."""
        server.config.encoded_headers.append((b"connection", b"close"))
        server.server_state.default_headers = server.config.encoded_headers
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(linger):
                await self._hurry.wait()

    def _bury_what_is_given_up(self) -> None:
        undertaker = Undertaker(self.bus, dict(self._workers))
        for consumer in UNDERTAKERS:
            if consumer.service == self.service and self._workers:
                self.consume(consumer, undertaker.bury)

    def _restore(self) -> None:
        """Create again what was deleted, or what a restored broker does not know."""
        if self._restoring is None or self._restoring.done():
            self._restoring = asyncio.create_task(self._reapply())

    async def _reapply(self) -> None:
        """Apply the topology, and then not again for a while.

        What is found missing is as a rule without a leader for a moment, or missed by many at once.
        """
        nats = self.config.nats
        if not nats.apply_topology:
            log.error("topology.missing", extra={"do": "queqiao topology apply"})
            await asyncio.sleep(COMPLAIN)
            return
        try:
            await provision.apply(self.bus, replicas=nats.replicas, scale=nats.stream_bytes)
        except TransientError as error:
            log.warning("topology.unreachable", extra={"error": str(error)})
        except QueqiaoError as error:
            log.error("topology.refused", extra={"error": str(error)})
        await asyncio.sleep(RESTORE)

    def _add_health(self) -> None:
        @self.app.get("/healthz")
        async def healthz() -> Response:
            return Response("ok\n", media_type="text/plain")

        @self.app.get("/readyz")
        async def readyz() -> Response:
            failing = [name for name, is_ready in self._checks.items() if not is_ready()]
            if self.stopping.is_set():
                failing.append("stopping")
            text = "ready\n" if not failing else "not ready: " + ", ".join(failing) + "\n"
            if degraded := [name for name, is_on in self._modes.items() if is_on()]:
                text += "degraded: " + ", ".join(degraded) + "\n"
            return Response(text, 503 if failing else 200, media_type="text/plain")

        @self.app.get("/metrics")
        async def metrics() -> Response:
            return Response(
                prometheus_client.generate_latest(),
                media_type=prometheus_client.CONTENT_TYPE_LATEST,
            )


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the runtime decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: ASGIApp, port: int) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            app,
            host=settings.environment("QUEQIAO_HTTP_HOST", "0.0.0.0"),  # noqa: S104 - in a pod
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,  # nobody asks who called
            timeout_graceful_shutdown=HTTP_DRAIN,
            lifespan="off",
        )
    )


def _port(service: str) -> int:
    return int(settings.environment("QUEQIAO_HTTP_PORT") or DEFAULT_PORTS[service])


async def _again_and_again(seconds: float, call: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await call()
        except QueqiaoError as error:
            log.warning("chore.failed", extra={"error": str(error)})


@contextlib.asynccontextmanager
async def open_runtime(service: str, config: Config) -> AsyncIterator[Runtime]:
    """Connect a service to its broker, with the topology applied where that is its business."""
    closed = asyncio.Event()
    nats = config.nats
    bus = await bus_module.connect(nats, service, on_closed=closed.set)
    runtime = Runtime(service, config, bus, stopping=closed)
    try:
        if nats.apply_topology:
            await provision.apply_patiently(bus, replicas=nats.replicas, scale=nats.stream_bytes)
        await runtime.ask_the_time()
        yield runtime
    finally:
        await bus.close(flush=FLUSH)


def run(service: str, main: Callable[[Runtime], Awaitable[None]]) -> None:
    """Run a service until SIGTERM (planned) or SIGINT (at once): the whole of a `__main__`.

    A wrong configuration ends the process with exit code 2 and every problem on a line of its own;
    an unreachable broker with exit code 1 and one line.
    """
    provider = telemetry.set_up(service)
    _spare_the_collector()
    try:
        failpoints.arm(settings.environment(failpoints.VARIABLE))
        config = settings.load(
            Path(settings.environment("QUEQIAO_CONFIG", "queqiao.toml")),
            needs=SERVICE_SECRETS[service],
        )
        uvloop.run(_main(service, config, main))
    except SettingsError as error:
        print_problems(error)
        sys.exit(2)
    except QueqiaoError as error:
        log.error("service.failed", extra={"error": str(error)})
        sys.exit(1)
    finally:
        # By itself it would wait 30 s for a collector that does not answer.
        ending = threading.Thread(target=provider.shutdown, daemon=True)
        ending.start()
        ending.join(SPANS)


def _spare_the_collector() -> None:
    """Have the cycle collector look less often, and never at what the imports have left.

    Nearly everything that a message leaves is freed without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def print_problems(error: SettingsError) -> None:
    """Write each problem of a configuration file on a line of its own, for a person."""
    sys.stderr.write(f"{error.source or 'configuration'}: {len(error.problems)} problem(s)\n")
    for problem in error.problems:
        sys.stderr.write(f"  {problem}\n")


async def _main(service: str, config: Config, main: Callable[[Runtime], Awaitable[None]]) -> None:
    async with open_runtime(service, config) as runtime:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, partial(runtime.stop, planned=True))
        loop.add_signal_handler(signal.SIGINT, runtime.stop)
        await main(runtime)
