"""The rounds of one answer: what a model wishes, what becomes of it, when it is over. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from queqiao_llm.completion import Call, Chunk, Extras, Message, Tool, Usage
from queqiao_llm.tools import own
from queqiao_llm.tools.functions import arguments_of
from queqiao_llm.tools.results import Outcome, Result, told

HANDING_OVER = "好的。"
"""Said where a model hands over without a word."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class Step(Struct, frozen=True):
    """One call, read: it is carried out, or it is refused. Two that ask the same have one `key`."""

    call: Call
    key: str
    arguments: dict[str, Any]
    refusal: Outcome | None = None

    @property
    def is_own(self) -> bool:
        """Whether no server is needed for it."""
        return self.call.name in own.NAMES


class Rounds(Struct, frozen=True):
    """What the rounds of one answer came to so far."""

    number: int = 0
    said: bool = False
    usage: Usage | None = None
    extras: Extras = Extras()

    def after(self, last: Chunk, *, said: bool) -> "Rounds":
        """Return what they came to with one more."""
        usage = self.usage
        if last.usage is not None:
            usage = (usage or Usage()) + last.usage
        return Rounds(self.number + 1, self.said or said, usage, self.extras)

    def is_over(self, steps: Sequence[Step]) -> bool:
        """Tell whether these calls need no further word: the model has said what it had to say."""
        if not all(step.is_own and step.refusal is None for step in steps):
            return False
        return self.said or self.extras.handover

    def ended(self, last: Chunk) -> Chunk:
        """Return the last chunk of the whole answer."""
        text = last.text
        if self.extras.handover and not self.said:
            text = HANDING_OVER
        extras = None if self.extras == Extras() else self.extras
        return Chunk(text, done=True, finish=last.finish, usage=self.usage, extras=extras)


def read(calls: Sequence[Call], tools: Sequence[Tool], most: int) -> tuple[Step, ...]:
    """Read what a model wishes; what goes beyond so many different calls is refused."""
    names = {tool.name for tool in tools}
    steps: list[Step] = []
    keys: set[str] = set()
    for call in calls:
        arguments = arguments_of(call.arguments)
        key = f"{call.name} {_encode(arguments).decode()}"
        refusal = None
        if call.name not in names:
            refusal = Outcome.UNKNOWN
        elif arguments is None:
            refusal = Outcome.MALFORMED
        elif len(keys | {key}) > most:
            refusal = Outcome.REFUSED
        else:
            keys.add(key)
        steps.append(Step(call, key, arguments or {}, refusal))
    return tuple(steps)


def answered(
    steps: Sequence[Step], known: Mapping[str, Result], before: Extras
) -> tuple[tuple[Message, ...], Extras]:
    """Return an answer to each call, and what goes out with the answer to the user."""
    messages: list[Message] = []
    extras = before
    for step in steps:
        if step.refusal is not None:
            text = told(Result(step.refusal))
        elif step.is_own:
            text, more = own.carry_out(step.call.name, step.arguments, extras)
            extras |= more
        else:
            text = told(known[step.key])
            extras |= Extras(media=known[step.key].media)
        messages.append(Message("tool", text, answers=step.call.id))
    return tuple(messages), extras
