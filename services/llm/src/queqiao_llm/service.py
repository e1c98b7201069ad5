"""The handler: one turn in, the pieces of an answer out, by whichever model can write it."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing

import msgspec
from msgspec import Struct
from queqiao_common.events import UNREADABLE, CompletionRequest, Event, ReplySegment
from queqiao_common.settings import Model
from queqiao_common.topology import LLM_REQUESTS
from queqiao_common.worker import Buried, Received

from queqiao_llm import metrics
from queqiao_llm.circuits import Circuits
from queqiao_llm.completion import ModelFailed, Provider
from queqiao_llm.routing import Ask, GiveUp, Tried, Wait, next_step
from queqiao_llm.runs import RUNS, Said, first_run
from queqiao_llm.writing import write

log = logging.getLogger(__name__)

MARGIN = 0.5
"""Seconds before the turn's deadline at which we say ourselves that there is no answer."""
BURIED_ATTEMPT = (LLM_REQUESTS.attempts + 10) * RUNS
"""Above the attempts of every run of a request that is given up."""


class Llm:
    """Answers turns by the routes of the configuration."""

    def __init__(
        self,
        *,
        providers: Mapping[str, Provider],
        routes: Mapping[str, tuple[Model, ...]],
        circuits: Circuits,
        segment_bytes: int,
        now_ms: Callable[[], int],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._providers = providers
        self._routes = routes
        self._circuits = circuits
        self._segment_bytes = segment_bytes
        self._now_ms = now_ms
        self._jitter = jitter

    async def write(self, received: Received[CompletionRequest]) -> AsyncIterator[Said]:
        """Write the answer piece by piece; when no model can, say so in a last, failed piece.

        Each run of a model has an attempt number of its own and counts its pieces from 0, and so
        has the failed piece: it can never be taken for a piece that was published before.
        """
        request = received.event
        attempt = first_run(received.attempt)
        tried: tuple[Tried, ...] = ()
        while not isinstance(step := self._next(request, tried), GiveUp):
            await asyncio.sleep(step.pause)
            if isinstance(step, Wait):
                continue
            spoke = False
            try:
                async with aclosing(self._run(request, step.model, attempt)) as pieces:
                    async for piece in pieces:
                        spoke = True
                        yield piece
            except ModelFailed as failure:
                tried += (_tried(step.model, failure, spoke=spoke, request=request),)
                attempt += 1
            else:
                return
        metrics.UNANSWERED.labels(request.route).inc()
        log.error("turn.unanswered", extra={"turn_id": request.turn_id, "reason": step.reason})
        yield Said(_failed(request.account, request.conv, request.turn_id, attempt))

    async def bury(self, buried: Buried) -> AsyncIterator[Event]:
        """Tell the turn of a request that is given up, if it can be read whose it was."""
        try:
            stub = msgspec.json.decode(buried.body, type=Stub)
        except UNREADABLE:
            return
        yield _failed(stub.account, stub.conv, stub.turn_id, BURIED_ATTEMPT)

    def _next(self, request: CompletionRequest, tried: tuple[Tried, ...]) -> Ask | Wait | GiveUp:
        route = self._routes.get(request.route, ())
        if not route:
            log.error("route.unknown", extra={"route": request.route})
            return GiveUp("unknown route")
        opens_in, left = self._circuits.opens_in(), self._left(request)
        return next_step(route, tried, opens_in=opens_in, left=left, jitter=self._jitter())

    def _left(self, request: CompletionRequest) -> float:
        return (request.deadline_ms - self._now_ms()) / 1000 - MARGIN

    async def _run(
        self, request: CompletionRequest, model: Model, attempt: int
    ) -> AsyncGenerator[Said, None]:
        """Have one model write, under its circuit breaker."""
        number = 0
        pieces = write(
            self._providers[model.id],
            model,
            request.prompt,
            left=self._left(request),
            segment_bytes=self._segment_bytes,
        )
        self._circuits.begin(model.id)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    segment = ReplySegment(
                        id=f"rep:{request.turn_id}.{attempt}.{number}",
                        account=request.account,
                        conv=request.conv,
                        turn_id=request.turn_id,
                        number=number,
                        attempt=attempt,
                        text=piece.text,
                        final=piece.final,
                        model=model.id,
                    )
                    yield Said(segment, cut=piece.cut)
                    number += 1
        except ModelFailed as failure:
            self._circuits.fail(model.id, failure)
            raise
        self._circuits.succeed(model.id)


class Stub(Struct, frozen=True):
    """As much of a request as is needed to tell its turn."""

    account: str
    conv: str
    turn_id: str


def _tried(model: Model, failure: ModelFailed, *, spoke: bool, request: CompletionRequest) -> Tried:
    fields = {"model": model.id, "reason": failure.reason, "status": failure.status}
    log.warning(
        "model.failed",
        extra=fields | {"detail": str(failure), "turn_id": request.turn_id, "spoke": spoke},
    )
    return Tried(model.id, failure.reason, failure.after, spoke)


def _failed(account: str, conv: str, turn_id: str, attempt: int) -> ReplySegment:
    return ReplySegment(
        id=f"rep:{turn_id}.{attempt}.0",
        account=account,
        conv=conv,
        turn_id=turn_id,
        number=0,
        attempt=attempt,
        text="",
        final=True,
        failed=True,
    )
