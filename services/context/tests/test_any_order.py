"""The conversation under any order and repetition of its events, and any lost publication."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from queqiao_common.events import (
    CompletionRequest,
    Delivery,
    DeliveryResult,
    ScreenedMessage,
    ScreenedSegment,
    Summarised,
    TurnTimeout,
)
from queqiao_common.settings import ContextSettings, Notes, Persona, Rule
from queqiao_common.testing import ACCOUNT, CONV, delivered, screened_segment
from queqiao_context.conversation import Step, absorb, expire, record, settle, summarise
from queqiao_context.document import Conversation
from queqiao_context.outbox import outbox

from services.context.tests.talks import RULES, chain, event, events, picture, said

EVERYTHING = structs.replace(
    RULES,
    settings=ContextSettings(max_messages=2),
    notes=Notes(summary_after=2),
    agents="each",
    personas={"assistant": Persona(prompt="店"), "tutor": Persona(prompt="师", greeting="同学好")},
    rules=(Rule(values=("学习",), persona="tutor"),),
)


@dataclass
class World:
    """A broker that delivers anything again and again, in any order; models and egress behind."""

    document: Conversation | None = None
    pending: list[object] = field(default_factory=list)
    failing: frozenset[int] = frozenset()
    """Of the deliveries, counted from 0, those that fail."""
    out: dict[str, Delivery] = field(default_factory=dict)
    requests: dict[str, CompletionRequest] = field(default_factory=dict)

    def handle(self, event: object, known, *, lose_publish: bool) -> None:
        if isinstance(event, Delivery):
            self.deliver(event)
            return
        if isinstance(event, CompletionRequest):
            self.complete(event)
            return
        step = self.step(event, known)
        self.document = step.document or self.document
        if not lose_publish:
            self.pending += [one for one in events(step) if not _is_deadline(one)]

    def step(self, event: object, known) -> Step:
        match event:
            case ScreenedMessage():
                return absorb(self.document, event, known, EVERYTHING)
            case ScreenedSegment():
                return record(self.document, event, EVERYTHING)
            case DeliveryResult():
                return settle(self.document, event, EVERYTHING)
            case Summarised():
                return summarise(self.document, event, EVERYTHING)
            case TurnTimeout():
                return expire(self.document, event, EVERYTHING)
            case _:
                raise AssertionError(event)

    def complete(self, request: CompletionRequest) -> None:
        self.requests[request.id] = request
        if request.purpose == "summary":
            summary = Summarised(
                id=f"summary:{request.upto}",
                account=ACCOUNT,
                conv=CONV,
                upto=request.upto,
                text=f"至{request.upto}",
            )
            self.pending.append(summary)
            return
        question = request.prompt[-1].content
        for number, text in enumerate((f"答:{question}", "完")):
            piece = screened_segment(
                text,
                number=number,
                final=number == 1,
                handover=number == 1 and "找人" in question,
                turn_id=request.turn_id,
                id=f"rep:{request.turn_id}.{number}",
            )
            self.pending.append(piece)

    def deliver(self, out: Delivery) -> None:
        self.out.setdefault(out.id, out)
        failed = list(self.out).index(out.id) in self.failing
        self.pending.append(
            delivered(
                id=f"sent:{out.id}",
                delivery_id=out.id,
                turn_id=out.turn_id,
                status="failed" if failed else "delivered",
            )
        )

    def run(self, data, count: int) -> None:
        """Handle everything; the broker is at its worst until a budget is spent."""
        known, budget = chain(*range(1, count + 1)), 40 * count
        while self.pending:
            budget -= 1
            index = data.draw(st.integers(0, len(self.pending) - 1)) if budget > 0 else 0
            event = self.pending[index]
            twice = budget > 0 and data.draw(st.booleans())
            dies = budget > 0 and data.draw(st.integers(0, 4)) == 0
            if not (twice or dies):
                self.pending.pop(index)
            self.handle(event, known, lose_publish=dies)

    def is_quiet(self) -> bool:
        """Whether nothing is left in flight, and nothing left to publish."""
        talk = self.document
        assert talk is not None
        in_flight = (talk.turn, talk.out, *talk.queue, *talk.early)
        return not any(in_flight) and all(
            isinstance(one, CompletionRequest) and one.purpose == "summary"
            for one in events(Step(None, outbox(talk, EVERYTHING)))
        )


def _is_deadline(event: object) -> bool:
    return isinstance(event, TurnTimeout) and event.id.startswith("due:")


def numbers(delivery: Delivery) -> list[int]:
    return [int(one.msgid.removeprefix("m_")) for one in delivery.waiting]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), count=st.integers(1, 6))
def test_every_question_is_answered_once_in_order_whatever_the_broker_does(data, count):
    """Events may come twice, late, swapped, and a process may die before it publishes."""
    world = World(pending=[said(number, f"问{number}") for number in range(1, count + 1)])

    world.run(data, count)

    text = "\n".join(delivery.text for delivery in world.out.values())
    for number in range(1, count + 1):
        assert text.count(f"问{number}") == 1
    positions = [text.index(f"问{number}") for number in range(1, count + 1)]
    assert positions == sorted(positions)
    assert world.is_quiet()
    assert outbox(world.document, EVERYTHING) == () or world.document.summing


EVENTS = {"menu": event("click"), "结束": event("kf_close_session")}
ACTS = ("问", "图", "找人", "转人工", "返回机器人", "学习", "重置", "忘记我", *EVENTS)


def act(kind: str, number: int) -> ScreenedMessage:
    if kind == "图":
        return said(number, "", **picture(f"main/{number}"))
    if kind in EVENTS:
        return said(number, "", **EVENTS[kind])
    return said(number, f"{kind}{number}" if kind in {"问", "找人"} else kind)


@settings(max_examples=120, deadline=None)
@given(
    data=st.data(),
    kinds=st.lists(st.sampled_from(ACTS), min_size=1, max_size=7),
    failing=st.frozensets(st.integers(0, 8), max_size=2),
)
def test_nothing_is_swallowed_doubled_or_swapped_in_any_state(data, kinds, failing):
    """Persons, personas, pictures, erasures, summaries: each at any moment of the others."""
    acts = dict(enumerate(kinds, start=1))
    world = World(pending=[act(kind, number) for number, kind in acts.items()], failing=failing)

    world.run(data, len(acts))

    assert world.is_quiet()
    answers = [one for one in world.requests.values() if one.purpose == "answer"]
    asked = "\n".join(one.prompt[-1].content for one in answers)
    shown = [key for one in answers for key in one.prompt[-1].media]
    passed_on = [number for one in world.out.values() if not one.text for number in numbers(one)]
    for number, kind in acts.items():
        if kind in {"问", "找人"}:
            assert asked.count(f"{kind}{number}") + passed_on.count(number) == 1
        elif kind == "图":
            assert shown.count(f"main/{number}") + passed_on.count(number) == 1
        elif kind not in EVENTS:
            assert any(number in numbers(one) for one in world.out.values())
    firsts = [min(numbers(one)) for one in world.out.values()]
    assert firsts == sorted(firsts)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), after=st.integers(1, 4))
def test_who_is_forgotten_leaves_nothing_behind_in_any_order(data, after):
    """Not in the history, the summary, or what waits for one: whatever comes late."""
    acts = [*(said(number, f"秘密{number}") for number in range(1, after + 1))]
    world = World(pending=[*acts, said(after + 1, "忘记我")])

    world.run(data, after + 1)

    talk = world.document
    assert talk is not None
    kept = "\n".join(one.content for one in (*talk.history, *talk.fallen)) + talk.summary
    assert "秘密" not in kept
    assert talk.summary == ""
    assert talk.cursor == after + 1
