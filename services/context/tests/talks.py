"""A conversation played step by step, without a broker: what was heard, said and delivered."""

from dataclasses import dataclass, field
from typing import Any

from msgspec import structs
from queqiao_common.events import (
    CompletionRequest,
    Delivery,
    Media,
    ScreenedMessage,
    Summarised,
    TurnTimeout,
)
from queqiao_common.settings import ContextSettings, Persona
from queqiao_common.testing import (
    ACCOUNT,
    CONV,
    NOW_MS,
    delivered,
    inbound,
    screened,
    screened_segment,
)
from queqiao_common.worker import Outgoing
from queqiao_context.chain import Chain
from queqiao_context.conversation import Step, absorb, expire, record, settle, summarise
from queqiao_context.document import Conversation
from queqiao_context.rules import Rules

RULES = Rules(
    settings=ContextSettings(),
    personas={"assistant": Persona(prompt="你是助手。")},
    welcome="欢迎",
    epoch="e1",
    now_ms=NOW_MS,
)
PASSIVE = structs.replace(RULES, passive_only=True)


def events(step: Step) -> list[Any]:
    """What a step publishes."""
    return [item.event if isinstance(item, Outgoing) else item for item in step.publish]


def only(step: Step, kind: type) -> Any:
    """The one event of a kind that a step publishes."""
    [event] = [event for event in events(step) if isinstance(event, kind)]
    return event


def said(sequence: int, text: str = "问", **fields: Any) -> ScreenedMessage:
    """A message by its place in the stream."""
    message = inbound(text, msgid=f"m_{sequence}", **fields)
    return screened(message, sequence=sequence)


def chain(*sequences: int, after: int = 0) -> Chain:
    """What is known of the order of messages."""
    return Chain(after, max(sequences), tuple(sequences))


def turn_id(number: int = 1) -> str:
    """The id of a turn of the usual conversation."""
    return f"main.{CONV}.{number}"


def opened(*texts: str, rules: Rules = RULES) -> Conversation:
    """A conversation with a turn in flight for the first text; the others wait."""
    talk = None
    everything = chain(*range(1, len(texts) + 1))
    for number, text in enumerate(texts, start=1):
        talk = absorb(talk, said(number, text), everything, rules).document
    assert talk is not None
    return talk


def picture(key: str = "main/p1", **fields: Any) -> dict[str, Any]:
    """The fields of a message that is a picture."""
    media = Media(**({"kind": "image", "media_id": "x", "key": key} | fields))
    return {"kind": "unsupported", "msg_type": "image", "media": (media,)}


def event(name: str, **fields: Any) -> dict[str, Any]:
    """The fields of a message that is a platform event."""
    return {"kind": "platform_event", "msg_type": "event", "platform_event": name} | fields


@dataclass
class Talk:
    """One conversation, event after event; `said` is all that was delivered."""

    rules: Rules = RULES
    document: Conversation | None = None
    heard: int = 0
    last: list[Any] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    requests: list[CompletionRequest] = field(default_factory=list)
    timers: list[Outgoing] = field(default_factory=list)

    @property
    def state(self) -> Conversation:
        """The document as it stands."""
        assert self.document is not None
        return self.document

    @property
    def texts(self) -> list[str]:
        """What the user was told."""
        return [one.text for one in self.deliveries]

    @property
    def questions(self) -> list[str]:
        """What models were asked."""
        return [one.prompt[-1].content for one in self.requests if one.purpose == "answer"]

    @property
    def prompt(self) -> list[str]:
        """What the model was last given."""
        return [one.content for one in self.requests[-1].prompt]

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        now_ms = self.rules.now_ms + int(seconds * 1000)
        self.rules = structs.replace(self.rules, now_ms=now_ms)

    def change(self, **fields: Any) -> None:
        """Configure something else."""
        self.rules = structs.replace(self.rules, **fields)

    def hear(self, text: str = "", **fields: Any) -> None:
        """The user writes, or does something."""
        verdict = {name: fields.pop(name) for name in ("verdict",) if name in fields}
        fields = {"received_ms": self.rules.now_ms} | fields
        self.heard += 1
        message = inbound(text, msgid=f"m_{self.heard}", **fields)
        judged = screened(message, sequence=self.heard, **verdict)
        everything = chain(*range(1, self.heard + 1))
        self._note(absorb(self.document, judged, everything, self.rules))

    def answer(self, text: str = "答", **fields: Any) -> None:
        """A model writes a piece, the last one if nothing else is said."""
        fields = {"final": True, "turn_id": turn_id(self.state.turns)} | fields
        self._note(record(self.document, screened_segment(text, **fields), self.rules))

    def deliver(self, **fields: Any) -> None:
        """What is out is delivered, or what else became of it."""
        assert self.state.out is not None
        out = self.state.out
        result = delivered(delivery_id=out.id, turn_id=out.turn_id, **fields)
        self._note(settle(self.document, result, self.rules))

    def exchange(self, question: str, answer: str = "答") -> None:
        """A question is asked, answered and delivered."""
        self.hear(question)
        self.answer(answer)
        self.deliver()

    def ring(self, timer: Outgoing | None = None) -> None:
        """A timer fires, the latest if none is named."""
        timeout = (timer or self.timers[-1]).event
        assert isinstance(timeout, TurnTimeout)
        self._note(expire(self.document, timeout, self.rules))

    def sum_up(self, text: str, upto: int | None = None, **fields: Any) -> None:
        """A summary comes."""
        asked = self.requests[-1].upto if upto is None else upto
        event = Summarised(
            id=f"summary:{asked}", account=ACCOUNT, conv=CONV, upto=asked, text=text, **fields
        )
        self._note(summarise(self.document, event, self.rules))

    def _note(self, step: Step) -> None:
        self.document = step.document or self.document
        self.last = events(step)
        self.deliveries += [one for one in self.last if isinstance(one, Delivery)]
        self.requests += [one for one in self.last if isinstance(one, CompletionRequest)]
        self.timers += [one for one in step.publish if isinstance(one, Outgoing) and one.due_ms]
