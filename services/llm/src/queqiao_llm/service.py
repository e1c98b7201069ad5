"""One turn in, the pieces of an answer out, by whichever model can write it."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from functools import partial

import msgspec
from msgspec import Struct
from queqiao_common import telemetry
from queqiao_common.events import UNREADABLE, CompletionRequest, Event, ReplySegment
from queqiao_common.settings import Model
from queqiao_common.topology import LLM_REQUESTS
from queqiao_common.worker import Buried

from queqiao_llm import metrics
from queqiao_llm.asking import Asking, Run
from queqiao_llm.completion import ModelFailed
from queqiao_llm.hedging import Race
from queqiao_llm.preparing import Prepared
from queqiao_llm.routing import PATIENCE, Ask, GiveUp, Next, Speed, Tried, Wait, drawn, next_step
from queqiao_llm.runs import RUNS, Said, Turn, first_run, summarised

log = logging.getLogger(__name__)

MARGIN = 0.5
"""Seconds before the turn's deadline at which we say ourselves that there is no answer."""
BURIED_ATTEMPT = (LLM_REQUESTS.attempts + 10) * RUNS
"""Above the attempts of every run of a request that is given up."""
OUTWARD = 0.25
"""Seconds that a piece may take from here to the request that waits for it."""
PASSED_OVER = "queqiao.models.passed_over"
HEDGE = "queqiao.hedge"

Route = tuple[Model, ...]


class Llm:
    """Answers turns by the routes of the configuration.

    With `hedge`, a model that is late is raced by the next one.
    """

    def __init__(
        self,
        asking: Asking,
        *,
        routes: Mapping[str, Route],
        now_ms: Callable[[], int],
        hedge: bool = False,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._asking = asking
        self._routes = routes
        self._now_ms = now_ms
        self._hedge = hedge
        self._chance = chance

    async def write(self, turn: Turn, prepared: Prepared) -> AsyncIterator[Said]:
        """Write the answer piece by piece; when no model can, say so in a last, failed piece.

        Each run of a model has an attempt number of its own and counts its pieces from 0, and so
        has the failed piece: it can never be taken for a piece that was published before.
        """
        request, attempt = turn.event, first_run(turn.attempt)
        route = self._route(request, prepared)
        tried: tuple[Tried, ...] = ()
        while not isinstance(step := self._next(request, route, tried), GiveUp):
            await asyncio.sleep(step.pause)
            if isinstance(step, Wait):
                continue
            _note_late(step)
            late = self._late(step, prepared)
            trial = Trial(self._runs(request, prepared, step, attempt), late)
            try:
                async with aclosing(trial.pieces(self._asking)) as pieces:
                    async for said in pieces:
                        yield said
            except ModelFailed as failure:
                tried += trial.told(failure, request.turn_id)
                attempt += len(trial.runs)
            else:
                return
        _note_unanswered(request, step.reason)
        yield Said(_failed(request.account, request.conv, request.turn_id, attempt))

    async def bury(self, buried: Buried) -> AsyncIterator[Event]:
        """Tell the turn of a request that is given up, if it can be read whose it was."""
        try:
            stub = msgspec.json.decode(buried.body, type=Stub)
        except UNREADABLE:
            return
        if stub.purpose == "summary":
            yield summarised(stub.account, stub.conv, stub.upto)
        else:
            yield _failed(stub.account, stub.conv, stub.turn_id, BURIED_ATTEMPT)

    def _route(self, request: CompletionRequest, prepared: Prepared) -> Route:
        """Return the models that may answer this turn, in the order in which they are tried."""
        route = self._routes.get(request.route, ())
        if not route:
            log.error("route.unknown", extra={"route": request.route})
        fit = tuple(one for one in route if one.vision or not prepared.needs_vision)
        return drawn(fit, self._chance)

    def _next(self, request: CompletionRequest, route: Route, tried: tuple[Tried, ...]) -> Next:
        if not route:
            return GiveUp("no model on this route")
        now = asyncio.get_running_loop().time()
        times = self._asking.paces.times(now) if len(route) > 1 else {}
        window = (request.window_ms - self._now_ms()) / 1000 - OUTWARD
        return next_step(
            route,
            tried,
            opens_in=self._asking.circuits.opens_in(),
            rests=self._asking.keys.rests(),
            speed=Speed(times, max(0.0, window)),
            left=self._left(request),
            jitter=self._chance(),
        )

    def _left(self, request: CompletionRequest) -> float:
        return (request.deadline_ms - self._now_ms()) / 1000 - MARGIN

    def _late(self, step: Ask, prepared: Prepared) -> float | None:
        """Return after how many seconds a second model joins; None: none does.

        Nor does one where there are tools: both might book the same table.
        """
        if not self._hedge or step.second is None or prepared.question.tools:
            return None
        return self._asking.paces[step.model.id].late(asyncio.get_running_loop().time())

    def _runs(
        self, request: CompletionRequest, prepared: Prepared, step: Ask, attempt: int
    ) -> tuple[Run, ...]:
        """Return the run of a step, and that of who might race it: each is an attempt."""
        left = self._left(request)
        until = asyncio.get_running_loop().time() + left
        within = left if step.is_patient else min(PATIENCE, left)
        models = (step.model,) if step.second is None else (step.model, step.second)
        return tuple(
            Run(request, prepared, model, attempt + place, until, within)
            for place, model in enumerate(models)
        )


class Trial:
    """One step of a turn: the run of a model, raced by another's when it is `late` (seconds)."""

    def __init__(self, runs: tuple[Run, ...], late: float | None) -> None:
        self.runs = runs if late is not None else runs[:1]
        self._late = late
        self._race: Race | None = None
        self._spoke = False

    async def pieces(self, asking: Asking) -> AsyncGenerator[Said, None]:
        """Yield the pieces of the run that answers.

        Raises:
            ModelFailed: none does, or not to its end.
        """
        async with aclosing(self._started(asking)) as pieces:
            async for said in pieces:
                self._spoke = True
                yield said

    def told(self, failure: ModelFailed, turn_id: str) -> tuple[Tried, ...]:
        """Return which runs failed how, and log it."""
        failures = [(self.runs[0], failure)]
        if self._race is not None:
            lanes = zip(self.runs, self._race.lanes, strict=False)
            failures = [(run, lane.failure) for run, lane in lanes if lane.failure is not None]
        return tuple(_tried(run.model, one, self._spoke, turn_id) for run, one in failures)

    def _started(self, asking: Asking) -> AsyncGenerator[Said, None]:
        if self._late is None:
            return asking.run(self.runs[0])
        return self._raced(asking, self._late)

    async def _raced(self, asking: Asking, late: float) -> AsyncGenerator[Said, None]:
        first, second = (partial(asking.run, run) for run in self.runs)
        self._race = race = Race(first, second, after=late)
        try:
            async with aclosing(race.pieces()) as pieces:
                async for said in pieces:
                    yield said
        finally:
            if race.outcome:
                metrics.HEDGES.labels(self.runs[0].model.id, race.outcome).inc()
                telemetry.note({HEDGE: race.outcome})


class Stub(Struct, frozen=True):
    """As much of a request as is needed to tell its turn."""

    account: str
    conv: str
    turn_id: str
    purpose: str = "answer"
    upto: int = 0


def _note_unanswered(request: CompletionRequest, reason: str) -> None:
    """Tell operators of a user who reads the apology; a summary is made with the next answer."""
    fields = {"turn_id": request.turn_id, "reason": reason}
    if request.purpose == "summary":
        log.warning("summary.unwritten", extra=fields)
        return
    metrics.UNANSWERED.labels(request.route).inc()
    log.error("turn.unanswered", extra=fields)


def _note_late(step: Ask) -> None:
    for model in step.late:
        metrics.PASSED_OVER.labels(model).inc()
    if step.late:
        telemetry.note({PASSED_OVER: step.late})


def _tried(model: Model, failure: ModelFailed, spoke: bool, turn_id: str) -> Tried:
    fields = {"model": model.id, "reason": failure.reason, "status": failure.status}
    log.warning(
        "model.failed",
        extra=fields | {"detail": str(failure), "turn_id": turn_id, "spoke": spoke},
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
