"""Asking one model once: within its limits, with a key, under its circuit breaker."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from msgspec import Struct, structs
from queqiao_common.events import CompletionRequest, ReplySegment
from queqiao_common.failpoints import failpoint
from queqiao_common.settings import Model

from queqiao_llm import metrics
from queqiao_llm.access import Access, Pass
from queqiao_llm.circuits import Circuits
from queqiao_llm.completion import Extras, ModelFailed, Provider
from queqiao_llm.keys import Keys
from queqiao_llm.pace import Paces
from queqiao_llm.preparing import Prepared
from queqiao_llm.prices import priced
from queqiao_llm.runs import Said
from queqiao_llm.writing import Piece, estimated, write


class Run(Struct, frozen=True):
    """One run of one model for one turn.

    `until` is the turn's deadline on the event loop's clock, `within` the seconds in which the
    model's limits must let us in.
    """

    request: CompletionRequest
    prepared: Prepared
    model: Model
    attempt: int
    until: float
    within: float


class Asking:
    """The models, and what this replica knows of them."""

    def __init__(
        self,
        providers: Mapping[str, tuple[Provider, ...]],
        *,
        circuits: Circuits,
        keys: Keys,
        access: Access,
        paces: Paces,
        segment_bytes: int,
    ) -> None:
        self._providers = providers
        self.circuits = circuits
        self.keys = keys
        self.paces = paces
        self._access = access
        self._segment_bytes = segment_bytes

    async def run(
        self, run: Run, speak: Callable[[], None] = lambda: None
    ) -> AsyncGenerator[Said, None]:
        """Have a model write, with another key where the first is refused; `speak` as in `write`.

        Raises:
            ModelFailed: the answer is not complete.
        """
        name = run.model.id
        self.circuits.begin(name)
        try:
            async with aclosing(self._with_keys(run, speak)) as pieces:
                async for said in pieces:
                    yield said
        except ModelFailed as failure:
            self.circuits.fail(name, failure)
            raise
        self.circuits.succeed(name)

    async def _with_keys(self, run: Run, speak: Callable[[], None]) -> AsyncGenerator[Said, None]:
        """Have a model write with one key after the other, until one is not to blame."""
        asked = estimated(run.prepared.question)
        expected = asked.prompt_tokens + self.paces[run.model.id].tokens(run.model.max_tokens)
        spoke, is_over = False, False
        while not is_over:
            async with self._access.to(run.model, tokens=expected, within=run.within) as allowed:
                try:
                    async with aclosing(self._write(run, allowed, speak)) as pieces:
                        async for said in pieces:
                            spoke = True
                            yield said
                    is_over = True
                except ModelFailed as failure:
                    has_another = self.keys.fail(run.model.id, allowed.place, failure)
                    if spoke or not has_another:
                        raise

    async def _write(
        self, run: Run, allowed: Pass, speak: Callable[[], None]
    ) -> AsyncGenerator[Said, None]:
        model = run.model
        pieces = write(
            self._providers[model.id][allowed.place],
            model,
            run.prepared.question,
            left=run.until - asyncio.get_running_loop().time(),
            segment_bytes=self._segment_bytes,
            pace=self.paces[model.id],
            speak=speak,
        )
        failpoint("llm.during_call")
        async with aclosing(pieces):
            number = 0
            async for piece in pieces:
                if piece.usage is not None:
                    allowed.used = piece.usage.prompt_tokens + piece.usage.completion_tokens
                yield Said(segment_of(run, piece, number), cut=piece.cut)
                number += 1


def segment_of(run: Run, piece: Piece, number: int) -> ReplySegment:
    """Return a piece of an answer as it is published."""
    request = run.request
    segment = ReplySegment(
        id=f"rep:{request.turn_id}.{run.attempt}.{number}",
        account=request.account,
        conv=request.conv,
        turn_id=request.turn_id,
        number=number,
        attempt=run.attempt,
        text=piece.text,
        final=piece.final,
        model=run.model.id,
    )
    if not piece.final:
        return segment
    if piece.usage is not None:
        usage = priced(run.model, piece.usage)
        metrics.COST.labels(run.model.id).inc(usage.cost_micros / 1e6)
        segment = structs.replace(segment, usage=usage)
    return with_extras(segment, run.prepared.extras | (piece.extras or Extras()))


def with_extras(segment: ReplySegment, extras: Extras) -> ReplySegment:
    """Return the last piece with what goes out beside it."""
    return structs.replace(
        segment,
        text="\n\n".join(filter(None, (segment.text, extras.footer))),
        handover=extras.handover,
        notes=extras.notes,
        menu=extras.menu,
        cards=extras.cards,
        media=extras.media,
    )
