"""Before the models: what they are asked is made ready, or the turn is answered without them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from msgspec import Struct
from queqiao_common.events import CompletionRequest

from queqiao_llm.completion import Extras, Question, question_of
from queqiao_llm.knowledge.passages import Passage
from queqiao_llm.runs import Said, Turn, notice_of


class Notice(Struct, frozen=True):
    """A text of ours that answers a turn in the place of a model."""

    text: str
    extras: Extras = Extras()


class Prepared(Struct, frozen=True):
    """What the models are asked about a turn; with a `notice`, that is said and none is asked.

    `extras` go out with the last piece, whichever model writes it. With `needs_vision`, only models
    that understand pictures are asked. `sources` are the passages that the question holds.
    With `is_makeshift` the answer was written without what it needs: it is not kept for others.
    """

    question: Question
    notice: Notice | None = None
    needs_vision: bool = False
    extras: Extras = Extras()
    sources: tuple[Passage, ...] = ()
    is_makeshift: bool = False


Prepare = Callable[[CompletionRequest, Prepared], Awaitable[Prepared]]
"""A step of the preparation. It may run again for a redelivered turn."""
Ask = Callable[[Turn, Prepared], AsyncIterator[Said]]


class Preparing:
    """Takes a turn through all steps, and then to the models."""

    def __init__(self, ask: Ask, *, steps: Sequence[Prepare] = ()) -> None:
        self._ask = ask
        self._steps = steps

    async def write(self, turn: Turn) -> AsyncIterator[Said]:
        """Write the answer piece by piece; a step that has a notice ends the preparation.

        What is to be summarised is put before the models as it is.
        """
        prepared = Prepared(question_of(turn.event.prompt))
        for step in self._steps if turn.event.purpose == "answer" else ():
            prepared = await step(turn.event, prepared)
            if prepared.notice is not None:
                yield notice_of(turn, prepared.notice.text, prepared.notice.extras)
                return
        async for said in self._ask(turn, prepared):
            yield said
