import logging

import pytest
from queqiao_common.events import ReplySegment, encode
from queqiao_common.settings import Model
from queqiao_common.testing import ACCOUNT, CONV, NOW_MS, TURN, published, received, request
from queqiao_common.worker import Buried
from queqiao_llm.circuits import Circuits
from queqiao_llm.completion import Chunk, ModelFailed, Reason
from queqiao_llm.service import Llm


class Scripted:
    """A provider with a script for each run; the last one holds for all that follow."""

    def __init__(self, *runs):
        self.runs = list(runs)
        self.asked = 0

    async def complete(self, prompt):
        run = self.runs[min(self.asked, len(self.runs) - 1)]
        self.asked += 1
        for step in run:
            if isinstance(step, Exception):
                raise step
            yield step


def says(*texts):
    return [*(Chunk(text) for text in texts), Chunk(done=True)]


def fails(reason=Reason.SERVER_ERROR, *before, status=0, after=None):
    failure = ModelFailed(reason, status=status, after=after)
    return [*(Chunk(text) for text in before), failure]


class Clock:
    """A wall clock and a monotonic one that stand still unless told."""

    def __init__(self):
        self.now_ms = NOW_MS

    def wall(self):
        return self.now_ms

    def steady(self):
        return self.now_ms / 1000


def llm(clock=None, segment_bytes=1, breaker_failures=5, **models):
    clock = clock or Clock()
    settings = tuple(
        Model(
            id=name,
            base_url="http://model/v1",
            model=name,
            retries=1,
            breaker_failures=breaker_failures,
        )
        for name in models
    )
    return Llm(
        providers=models,
        routes={"default": settings},
        circuits=Circuits(settings, clock.steady),
        segment_bytes=segment_bytes,
        now_ms=clock.wall,
        jitter=lambda: 0.0,
    )


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    """The length of a pause is tested where it is decided."""
    monkeypatch.setattr("queqiao_llm.routing.FIRST_PAUSE", 0.0)


async def answered(service, *, attempt=1, **fields) -> list[ReplySegment]:
    said = service.write(received(request(**fields), attempt=attempt))
    return [one.segment async for one in said]


def shape(events):
    return [(one.attempt, one.number, one.text, one.final, one.failed) for one in events]


async def test_an_answer_is_published_piece_by_piece():
    events = await answered(llm(main=Scripted(says("一。\n\n二", "。"))))

    assert shape(events) == [(1, 0, "一。", False, False), (1, 1, "二。", True, False)]
    assert [one.id for one in events] == [f"rep:{TURN}.1.0", f"rep:{TURN}.1.1"]
    assert {(one.account, one.conv, one.turn_id, one.model) for one in events} == {
        (ACCOUNT, CONV, TURN, "main")
    }


async def test_a_redelivered_request_counts_its_attempts_above_those_of_the_last_handling():
    """Pieces of two runs with one number would be mixed, or dropped as repeats."""
    events = await answered(llm(main=Scripted(says("好"))), attempt=3)

    assert shape(events) == [(201, 0, "好", True, False)]


async def test_a_failure_is_repeated_on_the_same_model():
    model, other = Scripted(fails(), says("好")), Scripted(says("别的"))

    events = await answered(llm(main=model, other=other))

    assert shape(events) == [(2, 0, "好", True, False)]
    assert other.asked == 0


async def test_the_next_model_of_the_route_answers_when_the_first_cannot():
    model, other = Scripted(fails()), Scripted(says("好"))

    events = await answered(llm(main=model, other=other))

    assert shape(events) == [(3, 0, "好", True, False)]
    assert events[0].model == "other"
    assert model.asked == 2


async def test_a_refusal_goes_to_the_next_model_at_once():
    model, other = Scripted(fails(Reason.REFUSED, status=401)), Scripted(says("好"))

    await answered(llm(main=model, other=other))

    assert model.asked == 1


async def test_a_model_that_dies_while_it_speaks_is_followed_by_another_from_the_beginning():
    """Its pieces must not be mixed with those of the next, which writes another text."""
    model, other = Scripted(fails(Reason.DISCONNECTED, "一。\n\n二")), Scripted(says("甲。\n\n乙"))

    events = await answered(llm(main=model, other=other))

    assert shape(events) == [
        (1, 0, "一。", False, False),
        (2, 0, "甲。", False, False),
        (2, 1, "乙", True, False),
    ]


async def test_when_no_model_can_answer_the_turn_is_told():
    events = await answered(llm(main=Scripted(fails()), other=Scripted(fails(Reason.REFUSED))))

    assert shape(events) == [(4, 0, "", True, True)]


async def test_the_failed_piece_never_has_the_id_of_one_that_was_published():
    """The stream would drop it as a repeat, and the turn would wait for its timeout."""
    model = Scripted(fails(Reason.DISCONNECTED, "一。\n\n二"))

    events = await answered(llm(main=model))

    assert len({one.id for one in events}) == len(events)
    assert events[-1].failed


async def test_after_the_deadline_no_model_is_asked():
    model = Scripted(says("好"))

    events = await answered(llm(main=model), deadline_ms=NOW_MS + 400)

    assert shape(events) == [(1, 0, "", True, True)]
    assert model.asked == 0


async def test_a_wish_to_wait_beyond_the_deadline_is_not_waited_for():
    limited = Scripted(fails(Reason.RATE_LIMITED, after=30.0))

    events = await answered(llm(main=limited), deadline_ms=NOW_MS + 10_000)

    assert events[-1].failed
    assert limited.asked == 1


async def test_an_unknown_route_fails_the_turn_and_names_itself(caplog):
    with caplog.at_level(logging.ERROR):
        events = await answered(llm(main=Scripted(says("好"))), route="missing")

    assert events[-1].failed
    assert [one.route for one in caplog.records if one.message == "route.unknown"] == ["missing"]


async def test_a_model_that_keeps_failing_is_left_alone_for_a_while():
    clock = Clock()
    model, other = Scripted(fails(), fails(), says("好")), Scripted(says("别的"))
    service = llm(clock, breaker_failures=2, main=model, other=other)

    await answered(service)
    [during] = await answered(service)
    clock.now_ms += 15_000
    [after] = await answered(service)

    assert (during.model, after.model) == ("other", "main")
    assert model.asked == 3


async def test_what_lies_in_the_request_does_not_open_the_circuit():
    """One user with a prompt that is too long must not switch the model off for all."""
    model = Scripted(fails(Reason.REFUSED, status=400))
    service = llm(main=model, breaker_failures=1)

    for _ in range(3):
        await answered(service)

    assert model.asked == 3


async def test_nothing_that_was_said_is_logged(caplog):
    model = Scripted(fails(Reason.DISCONNECTED, "秘密的答案"), says("秘密的答案"))

    with caplog.at_level(logging.DEBUG):
        await answered(llm(main=model), prompt=request("秘密的问题").prompt)

    assert caplog.records
    assert not any("秘密" in str(record.__dict__) for record in caplog.records)


async def test_a_buried_request_fails_its_turn_above_all_its_attempts():
    service = llm(main=Scripted(says("好")))
    body = encode(request()).replace(b'"prompt"', b'"tpmorp"')

    [event] = await published(service.bury(Buried("llm.request.default", body, 1, "x")))
    nothing = await published(service.bury(Buried("llm.request.default", b"junk", 1, "x")))

    assert (event.failed, event.final, event.turn_id) == (True, True, TURN)
    assert event.attempt > 1000
    assert nothing == []
