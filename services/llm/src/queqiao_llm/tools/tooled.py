"""The tool loop: a provider around a provider, which carries out the calls its model wishes."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from msgspec import structs
from queqiao_common.settings import Model, Tools

from queqiao_llm import metrics
from queqiao_llm.completion import Chunk, Message, Provider, Question
from queqiao_llm.thinking import without_thoughts
from queqiao_llm.tools.results import Outcome, Result
from queqiao_llm.tools.rounds import Rounds, Step, answered, read

RESERVE = 3.0
"""Seconds before the end at which a call is given up: the model is to say something yet."""
NOBODY = "unknown"
"""What the metrics call a tool that there is not."""


class Calls(Protocol):
    """What carries calls out."""

    async def call(self, name: str, arguments: Mapping[str, Any], limit: float) -> Result:
        """Call a tool for at most `limit` seconds; what goes wrong is a result."""
        ...


class Tooled:
    """Asks a model, carries out what it wishes, and asks again, until it answers.

    The same call is carried out once in one answer, however often it is wished. In the last round
    the model may call nothing. Another model that is asked when this one fails begins anew.
    `clock` gives seconds that only grow.
    """

    def __init__(
        self,
        provider: Provider,
        calls: Calls,
        model: Model,
        rules: Tools,
        *,
        now_ms: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._provider = provider
        self._calls = calls
        self._model = model
        self._rules = rules
        self._now_ms = now_ms
        self._clock = clock

    async def complete(self, question: Question) -> AsyncGenerator[Chunk, None]:
        """Ask the model and yield its answer as it comes; see `Provider`."""
        rounds, known = Rounds(), dict[str, Result]()
        ends = self._clock() + self._model.timeout
        while True:
            question = structs.replace(question, may_call=rounds.number < self._rules.max_rounds)
            last, text = Chunk(done=True), ""
            async with aclosing(self._provider.complete(question)) as chunks:
                async for chunk in chunks:
                    text += chunk.text
                    if chunk.done:
                        last = chunk
                    else:
                        yield chunk
            text = without_thoughts(text)
            said = bool(text.strip())
            rounds = rounds.after(last, said=said)
            if not last.calls or not question.may_call:
                yield rounds.ended(last)
                return
            # What was said before a call begins the answer; what follows is a new paragraph.
            yield Chunk(last.text + ("\n\n" if said else ""), calls=last.calls)
            steps = read(last.calls, question.tools, self._rules.max_calls)
            await self._carry_out(steps, known, self._left(question, ends))
            answers, extras = answered(steps, known, rounds.extras)
            rounds = structs.replace(rounds, extras=extras)
            if rounds.is_over(steps):
                yield rounds.ended(Chunk(done=True, finish="stop"))
                return
            wish = Message("assistant", text, calls=last.calls)
            question = structs.replace(question, messages=(*question.messages, wish, *answers))

    async def _carry_out(
        self, steps: Sequence[Step], known: dict[str, Result], left: float
    ) -> None:
        """Carry out, at the same time, what is not known yet."""
        new = {
            step.key: step
            for step in steps
            if step.refusal is None and not step.is_own and step.key not in known
        }
        found = await asyncio.gather(*(self._result(step, left) for step in new.values()))
        known.update(zip(new, found, strict=True))
        for step in steps:
            name = NOBODY if step.refusal is Outcome.UNKNOWN else step.call.name
            outcome = step.refusal or (Outcome.OK if step.is_own else known[step.key].outcome)
            metrics.TOOL_CALLS.labels(name, outcome).inc()

    async def _result(self, step: Step, left: float) -> Result:
        if left <= 0:
            return Result(Outcome.TIMEOUT)
        return await self._calls.call(step.call.name, step.arguments, left)

    def _left(self, question: Question, ends: float) -> float:
        """Return the seconds that calls may take: of the model's time, and of the turn's."""
        left = ends - self._clock()
        if question.deadline_ms:
            left = min(left, (question.deadline_ms - self._now_ms()) / 1000)
        return left - RESERVE
