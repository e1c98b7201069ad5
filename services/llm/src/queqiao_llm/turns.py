"""The handler of turns: what answers them, and what is done with each piece before it leaves."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from queqiao_common.events import CompletionRequest, Event, ReplySegment, Summarised

from queqiao_llm.runs import Said, Turn, summarised

Answer = Callable[[Turn], AsyncIterator[ReplySegment]]
Write = Callable[[Turn], AsyncIterator[Said]]
Finish = Callable[[CompletionRequest, ReplySegment], Awaitable[ReplySegment]]
"""Something done with every piece, whoever wrote it: it is read aloud, for one."""


class Turns:
    """Answers turns, and summarises conversations (which no cache answers and nothing finishes)."""

    def __init__(self, answer: Answer, *, summarise: Write, finish: Sequence[Finish] = ()) -> None:
        self._answer = answer
        self._summarise = summarise
        self._finish = finish

    async def handle(self, turn: Turn) -> AsyncIterator[Event]:
        """Answer one turn piece by piece, or with its summary."""
        if turn.event.purpose == "summary":
            yield await self._summary(turn)
            return
        async for segment in self._answer(turn):
            finished = segment
            for step in self._finish:
                finished = await step(turn.event, finished)
            yield finished

    async def _summary(self, turn: Turn) -> Summarised:
        """Return a summary; an empty one where none could be made, as nobody waits for it."""
        request = turn.event
        heard = [said async for said in self._summarise(turn)]
        return summarised(request.account, request.conv, request.upto, summary_of(heard))


def summary_of(heard: Sequence[Said]) -> str:
    """Return what the last run wrote, if it came to its end and a model wrote it."""
    if not heard or heard[-1].segment.failed or heard[-1].segment.notice:
        return ""
    last = heard[-1].segment.attempt
    return "\n\n".join(one.segment.text for one in heard if one.segment.attempt == last)
