"""Access to the models: with a rested key, and within what their providers allow."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from queqiao_common.kv import Documents
from queqiao_common.settings import Model

from queqiao_llm import metrics
from queqiao_llm.completion import ModelFailed, Reason
from queqiao_llm.gates import Gate
from queqiao_llm.keys import Keys
from queqiao_llm.loads import Load, limits_of

RECHECK = 0.25
"""Seconds between two looks whether something is free again."""


@dataclass
class Pass:
    """The right to ask a model once, with the key at this place; `used` are the tokens it took."""

    place: int
    used: int = 0


class Access:
    """Who may ask which model, and with which of its keys.

    Limits hold for all replicas together, by the documents of the bucket `loads`.
    """

    def __init__(
        self,
        models: Iterable[Model],
        keys: Keys,
        documents: Documents[Load],
        *,
        replica: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._keys = keys
        self._gates = {
            (model.id, place): Gate(
                documents,
                f"{model.id}.{place}",
                limits_of(model),
                replica=replica,
                now_ms=now_ms,
            )
            for model in models
            if model.is_limited
            for place in range(len(model.keys))
        }

    @contextlib.asynccontextmanager
    async def to(self, model: Model, *, tokens: int, within: float) -> AsyncIterator[Pass]:
        """Wait at most `within` seconds for the right to ask a model about so many tokens.

        Raises:
            ModelFailed: busy, as its limits are used up, or rate limited, as all its keys rest.
        """
        place = await self._enter(model, tokens, within)
        self._keys.use(model.id, place)
        given = Pass(place, used=tokens)
        try:
            yield given
        finally:
            if gate := self._gates.get((model.id, place)):
                gate.leave(estimated=tokens, used=given.used)

    async def tidy(self) -> None:
        """Give back what is not used, and keep what is."""
        for gate in self._gates.values():
            await gate.tidy()

    async def _enter(self, model: Model, tokens: int, within: float) -> int:
        loop = asyncio.get_running_loop()
        until, waited = loop.time() + within, False
        while (place := await self._try(model, tokens)) is None:
            rest, left = self._keys.rests()[model.id], until - loop.time()
            if rest > max(0.0, left):
                raise ModelFailed(Reason.RATE_LIMITED, after=rest)
            if left <= 0:
                raise ModelFailed(Reason.BUSY)
            if not waited:
                metrics.LIMITED.labels(model.id).inc()
                waited = True
            await asyncio.sleep(min(RECHECK, left))
        return place

    async def _try(self, model: Model, tokens: int) -> int | None:
        """Return the place of a rested key that lets us in now."""
        for place in self._keys.ready(model.id):
            gate = self._gates.get((model.id, place))
            if gate is None or await gate.enter(tokens):
                return place
        return None
