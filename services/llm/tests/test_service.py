import asyncio
import logging

import pytest
from msgspec import structs
from queqiao_common.events import ReplySegment, encode
from queqiao_common.settings import Model, Secret
from queqiao_common.testing import (
    ACCOUNT,
    CONV,
    NOW_MS,
    TURN,
    MemoryDocuments,
    published,
    received,
    request,
)
from queqiao_common.worker import Buried
from queqiao_llm.access import Access
from queqiao_llm.asking import Asking
from queqiao_llm.circuits import Circuits
from queqiao_llm.completion import (
    Chunk,
    Extras,
    ModelFailed,
    Reason,
    Tool,
    Usage,
    question_of,
)
from queqiao_llm.keys import Keys
from queqiao_llm.pace import Paces
from queqiao_llm.preparing import Prepared
from queqiao_llm.service import Llm


class Scripted:
    """A provider with a script for each run; the last holds for all that follow. None: silence."""

    def __init__(self, *runs):
        self.runs = list(runs)
        self.asked = 0

    async def complete(self, question):
        run = self.runs[min(self.asked, len(self.runs) - 1)]
        self.asked += 1
        for step in run:
            if isinstance(step, Exception):
                raise step
            if step is None:
                await asyncio.Event().wait()
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


def llm(clock=None, segment_bytes=1, breaker_failures=5, hedge=False, settings=None, **models):
    """A service whose models are these; one with several keys has a provider for each."""
    clock = clock or Clock()
    by_key = {name: one if isinstance(one, tuple) else (one,) for name, one in models.items()}
    settings = tuple(
        Model(
            id=name,
            base_url="http://model/v1",
            model=name,
            retries=1,
            breaker_failures=breaker_failures,
            api_keys=tuple(Secret(f"key-{number}") for number in range(len(by_key[name]))),
            **(settings or {}).get(name, {}),
        )
        for name in models
    )
    keys = Keys(settings, clock.steady)
    asking = Asking(
        by_key,
        circuits=Circuits(settings, clock.steady),
        keys=keys,
        access=Access(settings, keys, MemoryDocuments(), replica="a", now_ms=clock.wall),
        paces=Paces(settings, segment_bytes=segment_bytes),
        segment_bytes=segment_bytes,
    )
    routes = {"default": settings}
    return Llm(asking, routes=routes, now_ms=clock.wall, hedge=hedge, chance=lambda: 0.0)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    """The length of a pause is tested where it is decided."""
    monkeypatch.setattr("queqiao_llm.routing.FIRST_PAUSE", 0.0)


async def answered(service, *, attempt=1, **fields) -> list[ReplySegment]:
    event = request(**fields)
    turn = received(event, attempt=attempt)
    said = service.write(turn, Prepared(question_of(event.prompt)))
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


async def test_a_refused_key_is_replaced_by_another_without_the_user_noticing():
    """One key of several that ran out of money must not cost a turn its first choice."""
    refused, good = Scripted(fails(Reason.REFUSED, status=401)), Scripted(says("好"))
    service = llm(main=(refused, good), other=Scripted(says("别的")))

    [first] = await answered(service)
    [second] = await answered(service)

    assert (first.model, second.model) == ("main", "main")
    assert (refused.asked, good.asked) == (1, 2)


async def test_keys_take_turns():
    one, two = Scripted(says("好")), Scripted(says("好"))
    service = llm(main=(one, two))

    for _ in range(6):
        await answered(service)

    assert (one.asked, two.asked) == (3, 3)


async def test_a_model_that_wishes_to_be_left_alone_is_left_alone_by_all_turns():
    limited, other = Scripted(fails(Reason.RATE_LIMITED, after=30.0)), Scripted(says("好"))
    service = llm(main=limited, other=other)

    for _ in range(3):
        await answered(service)

    assert limited.asked == 1


async def test_a_model_whose_limit_is_used_up_gives_way_to_the_next(monkeypatch):
    monkeypatch.setattr("queqiao_llm.service.PATIENCE", 0.0)
    model, other = Scripted(says("好")), Scripted(says("别的"))
    service = llm(main=model, other=other, settings={"main": {"requests_per_minute": 1}})

    [first] = await answered(service)
    [second] = await answered(service)

    assert (first.model, second.model) == ("main", "other")
    assert model.asked == 1


async def test_pictures_go_to_a_model_that_understands_them():
    blind, seeing = Scripted(says("看不见")), Scripted(says("一座桥"))
    service = llm(main=blind, eyes=seeing, settings={"eyes": {"vision": True}})
    event = request("这是什么？")

    said = service.write(received(event), Prepared(question_of(event.prompt), needs_vision=True))

    assert [one.segment.text async for one in said] == ["一座桥"]
    assert blind.asked == 0


async def test_a_model_that_cannot_make_the_window_is_passed_over():
    """The user waits with an open request that only the faster one can still use."""
    slow, fast = Scripted(says("慢")), Scripted(says("快"))
    service = llm(slow=slow, fast=fast)
    now = asyncio.get_running_loop().time()
    for seconds, name in ((20.0, "slow"), (0.1, "fast")):
        for _ in range(5):
            service._asking.paces[name].note_first(seconds, now)
            service._asking.paces[name].note_rest(0.1, 10, now)

    [urgent] = await answered(service, window_ms=NOW_MS + 4000)
    [patient] = await answered(service)

    assert (urgent.model, patient.model) == ("fast", "slow")


async def test_a_late_model_is_raced_where_that_is_wished():
    silent, other = Scripted([None]), Scripted(says("好"))
    service = llm(hedge=True, main=silent, other=other)
    now = asyncio.get_running_loop().time()
    for _ in range(5):
        service._asking.paces["main"].note_first(0.001, now)

    async with asyncio.timeout(10):
        events = await answered(service)

    assert shape(events) == [(2, 0, "好", True, False)]
    assert events[0].model == "other"


async def test_a_question_with_tools_is_not_raced():
    """Both models might book the same table."""

    class Slow:
        async def complete(self, question):
            for _ in range(200):
                await asyncio.sleep(0)
            yield Chunk("好", done=True)

    other = Scripted(says("别的"))
    service = llm(hedge=True, main=Slow(), other=other)
    now = asyncio.get_running_loop().time()
    for _ in range(5):
        service._asking.paces["main"].note_first(0.0, now)
    event = request()
    question = structs.replace(question_of(event.prompt), tools=(Tool("book", "订位", {}),))

    said = service.write(received(event), Prepared(question))

    assert [one.segment.model async for one in said] == ["main"]
    assert other.asked == 0


async def test_the_last_piece_says_what_the_answer_took():
    counted = [Chunk("一。\n\n二"), Chunk(done=True, usage=Usage(1000, 500))]
    prices = {"input_price": 2.0, "output_price": 8.0}

    first, last = await answered(llm(main=Scripted(counted), settings={"main": prices}))

    assert first.usage is None
    assert (last.usage.input_tokens, last.usage.output_tokens) == (1000, 500)
    assert last.usage.cost_micros == 6000


async def test_extras_leave_with_the_last_piece():
    model = Scripted([Chunk("一。\n\n二"), Chunk(done=True, extras=Extras(handover=True))])
    event = request()
    prepared = Prepared(question_of(event.prompt), extras=Extras(footer="来源：手册"))

    first, last = [one.segment async for one in llm(main=model).write(received(event), prepared)]

    assert (first.text, first.handover) == ("一。", False)
    assert (last.text, last.handover) == ("二\n\n来源：手册", True)


async def test_a_buried_summary_is_empty_and_fails_no_turn():
    service = llm(main=Scripted(says("好")))
    body = encode(request(purpose="summary", upto=7))

    [event] = await published(service.bury(Buried("llm.request.default", body, 1, "x")))

    assert (event.id, event.text) == (f"summary:{ACCOUNT}.{CONV}.7", "")


async def test_a_summary_that_nobody_could_write_is_no_alarm(caplog):
    [event] = await answered(llm(main=Scripted(fails(Reason.REFUSED))), purpose="summary")

    assert event.failed
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
