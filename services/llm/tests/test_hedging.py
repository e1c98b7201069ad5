import asyncio
from contextlib import aclosing

import pytest
from queqiao_common.testing import segment
from queqiao_llm.completion import ModelFailed, Reason
from queqiao_llm.hedging import Race
from queqiao_llm.runs import Said

AT_ONCE = 0.0
IN_A_MINUTE = 60.0


class Runner:
    """A run that waits for its signal, and then speaks or fails."""

    def __init__(self, name, *, fails=False, fails_late=False):
        self.name = name
        self.fails = fails
        self.fails_late = fails_late
        self.go = asyncio.Event()
        self.began = asyncio.Event()
        self.closed = False

    async def __call__(self, speak):
        self.began.set()
        try:
            await self.go.wait()
            if self.fails:
                raise ModelFailed(Reason.SERVER_ERROR, detail=self.name)
            speak()
            yield Said(segment(f"{self.name}一"))
            await asyncio.sleep(0)
            if self.fails_late:
                raise ModelFailed(Reason.DISCONNECTED, detail=self.name)
            yield Said(segment(f"{self.name}二", final=True))
        finally:
            self.closed = True


def race_of(first, second, after=AT_ONCE):
    return Race(first, second, after=after)


async def text(race):
    async with asyncio.timeout(10), aclosing(race.pieces()) as pieces:
        return "".join([said.segment.text async for said in pieces])


async def test_who_speaks_in_time_is_not_raced():
    first, second = Runner("甲"), Runner("乙")
    first.go.set()
    race = race_of(first, second, IN_A_MINUTE)

    assert await text(race) == "甲一甲二"
    assert not second.began.is_set()
    assert race.outcome == ""


async def test_the_second_answers_when_the_first_is_late_and_the_first_is_left():
    """It would go on writing for nobody, and be paid for."""
    first, second = Runner("甲"), Runner("乙")
    second.go.set()
    race = race_of(first, second)

    assert await text(race) == "乙一乙二"
    assert first.closed
    assert race.outcome == "second"


async def test_the_first_may_still_win_once_it_is_raced():
    first, second = Runner("甲"), Runner("乙")
    race = race_of(first, second)
    asking = asyncio.create_task(text(race))
    await second.began.wait()

    first.go.set()

    assert await asking == "甲一甲二"
    assert second.closed
    assert race.outcome == "first"


async def test_one_that_fails_leaves_the_race_to_the_other():
    first, second = Runner("甲", fails=True), Runner("乙")
    race = race_of(first, second)
    asking = asyncio.create_task(text(race))
    await second.began.wait()
    first.go.set()
    await asyncio.sleep(0)

    second.go.set()

    assert await asking == "乙一乙二"
    assert race.outcome == "second"


async def test_when_both_fail_both_are_told():
    first, second = Runner("甲", fails=True), Runner("乙", fails=True)
    race = race_of(first, second)
    asking = asyncio.create_task(text(race))
    await second.began.wait()
    first.go.set()
    second.go.set()

    with pytest.raises(ModelFailed, match="甲"):
        await asking
    assert [lane.failure is not None for lane in race.lanes] == [True, True]
    assert race.outcome == "neither"


async def test_a_first_that_fails_at_once_is_not_raced():
    first, second = Runner("甲", fails=True), Runner("乙")
    first.go.set()

    with pytest.raises(ModelFailed, match="甲"):
        await text(race_of(first, second, IN_A_MINUTE))
    assert not second.began.is_set()


async def test_a_winner_that_breaks_off_fails_as_it_would_alone():
    first, second = Runner("甲", fails_late=True), Runner("乙")
    first.go.set()

    with pytest.raises(ModelFailed, match="disconnected"):
        await text(race_of(first, second, IN_A_MINUTE))


async def test_who_stops_listening_stops_both():
    first, second = Runner("甲"), Runner("乙")
    asking = asyncio.create_task(text(race_of(first, second)))
    await second.began.wait()

    asking.cancel()
    await asyncio.wait([asking])

    assert first.closed
    assert second.closed
