"""The tool loop, and what the user sees of everything that goes wrong in it."""

import asyncio
from contextlib import aclosing

import pytest
from queqiao_common.settings import Model, Tools
from queqiao_common.testing import NOW_MS
from queqiao_llm.completion import (
    Call,
    Chunk,
    Message,
    ModelFailed,
    Question,
    Reason,
    Tool,
    Usage,
)
from queqiao_llm.pace import Pace
from queqiao_llm.tools import own
from queqiao_llm.tools.results import Outcome, Result
from queqiao_llm.tools.tooled import RESERVE, Tooled
from queqiao_llm.writing import write

WEATHER = Tool("map__weather", "", {})
QUESTION = Question((Message("user", "北京天气？"),), tools=(WEATHER, own.HANDOVER, own.REMEMBER))
MODEL = Model(id="m", base_url="http://m/v1", model="m", timeout=30)


class Scripted:
    """A model with a script for each round; the last one holds for all that follow."""

    def __init__(self, *rounds):
        self.rounds = rounds
        self.asked: list[Question] = []

    async def complete(self, question):
        chunks = self.rounds[min(len(self.asked), len(self.rounds) - 1)]
        self.asked.append(question)
        for chunk in chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk


class Shelf:
    """Tools with prepared results."""

    def __init__(self, **results):
        self.results = results
        self.called = []

    async def call(self, name, arguments, limit):
        self.called.append((name, arguments, limit))
        return self.results.get(name.partition("__")[2], Result(Outcome.UNREACHABLE))


def wishes(*calls, text="", usage=None):
    return [Chunk(text, done=True, finish="tool_calls", calls=calls, usage=usage)]


def says(text, usage=None):
    return [Chunk(text), Chunk(done=True, finish="stop", usage=usage)]


def weather(city="北京", call="c1"):
    return Call(call, "map__weather", f'{{"city": "{city}"}}')


def tooled(model, shelf, rules=None, now_ms=NOW_MS):
    return Tooled(model, shelf, MODEL, rules or Tools(), now_ms=lambda: now_ms, clock=lambda: 100.0)


async def ask(provider, question=QUESTION):
    chunks = [chunk async for chunk in provider.complete(question)]
    return "".join(chunk.text for chunk in chunks).strip(), chunks[-1]


async def test_a_model_answers_with_what_its_tool_found():
    model = Scripted(wishes(weather(), usage=Usage(10, 2)), says("晴，25 度。", Usage(20, 5)))
    shelf = Shelf(weather=Result(Outcome.OK, "晴 25"))

    text, last = await ask(tooled(model, shelf))

    assert text == "晴，25 度。"
    assert last.done
    assert last.usage == Usage(30, 7)
    assert shelf.called[0][:2] == ("map__weather", {"city": "北京"})
    _, wish, result = model.asked[1].messages
    assert (wish.role, wish.calls) == ("assistant", (weather(),))
    assert (result.role, result.answers) == ("tool", "c1")
    assert "晴 25" in result.content


async def test_without_tools_the_model_is_asked_once_as_ever():
    model = Scripted(says("好"))

    text, _ = await ask(tooled(model, Shelf()), Question((Message("user", "你好"),)))

    assert (text, len(model.asked)) == ("好", 1)


async def test_what_was_said_before_a_call_is_a_paragraph_of_the_answer():
    model = Scripted([Chunk("我查一下。"), *wishes(weather())], says("晴。"))

    text, _ = await ask(tooled(model, Shelf(weather=Result(Outcome.OK, "晴"))))

    assert text == "我查一下。\n\n晴。"
    assert model.asked[1].messages[1].content == "我查一下。"


async def test_calls_of_one_round_are_carried_out_at_the_same_time():
    meeting = asyncio.Barrier(2)

    class Meeting(Shelf):
        async def call(self, name, arguments, limit):
            await meeting.wait()
            return Result(Outcome.OK, "晴")

    model = Scripted(wishes(weather("甲", "1"), weather("乙", "2")), says("都晴。"))

    async with asyncio.timeout(10):
        text, _ = await ask(tooled(model, Meeting()))

    assert text == "都晴。"


async def test_the_same_call_is_carried_out_once():
    """Models in a loop ask the same again and again; the answer does not change meanwhile."""
    model = Scripted(
        wishes(weather(), weather(call="c2")), wishes(weather(call="c3")), says("晴。")
    )
    shelf = Shelf(weather=Result(Outcome.OK, "晴"))

    text, _ = await ask(tooled(model, shelf))

    assert (text, len(shelf.called)) == ("晴。", 1)
    assert [one.answers for one in model.asked[2].messages if one.role == "tool"] == [
        "c1",
        "c2",
        "c3",
    ]


async def test_a_model_that_never_stops_calling_is_stopped():
    cities = iter("甲乙丙丁戊己庚辛")

    class Insatiable(Scripted):
        async def complete(self, question):
            self.asked.append(question)
            if not question.may_call:
                yield Chunk("就这些。", done=True)
                return
            for chunk in wishes(weather(next(cities))):
                yield chunk

    model, shelf = Insatiable(), Shelf(weather=Result(Outcome.OK, "晴"))

    text, _ = await ask(tooled(model, shelf, Tools(max_rounds=3)))

    assert (text, len(shelf.called), len(model.asked)) == ("就这些。", 3, 4)
    assert [question.may_call for question in model.asked] == [True, True, True, False]


async def test_a_model_that_calls_where_it_must_not_has_its_wish_ignored():
    """Without a text its answer is empty, and the next model of the route is asked."""
    model = Scripted(wishes(weather()))

    text, last = await ask(tooled(model, Shelf(), Tools(max_rounds=1)))

    assert (text, last.calls, len(model.asked)) == ("", (), 2)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (Call("c1", "map__weather", '{"city": '), "不是一个 JSON 对象"),
        (Call("c1", "map__teleport", "{}"), "没有这个工具"),
        (Call("c1", "", ""), "没有这个工具"),
        (weather(), "现在无法使用"),
    ],
)
async def test_the_model_is_told_what_cannot_be_done_and_answers_all_the_same(call, told):
    model = Scripted(wishes(call), says("暂时查不到天气，请稍后再问我。"))

    text, _ = await ask(tooled(model, Shelf()))

    assert text == "暂时查不到天气，请稍后再问我。"
    assert told in model.asked[1].messages[-1].content


async def test_a_call_ends_before_the_turn_does():
    shelf = Shelf(weather=Result(Outcome.TIMEOUT))
    question = Question(QUESTION.messages, QUESTION.tools, deadline_ms=NOW_MS + 10_000)

    await ask(tooled(Scripted(wishes(weather()), says("不知道。")), shelf), question)

    assert shelf.called[0][2] == 10 - RESERVE


async def test_a_call_for_which_there_is_no_time_is_not_made():
    shelf = Shelf(weather=Result(Outcome.OK))
    question = Question(QUESTION.messages, QUESTION.tools, deadline_ms=NOW_MS + 2_000)
    model = Scripted(wishes(weather()), says("不知道。"))

    text, _ = await ask(tooled(model, shelf), question)

    assert (text, shelf.called) == ("不知道。", [])
    assert "没有在规定时间内" in model.asked[1].messages[-1].content


class Noted(Pace):
    """A pace that remembers which of its notes were taken."""

    def __init__(self):
        super().__init__()
        self.notes = []

    def note_first(self, seconds, now):
        self.notes.append("first")

    def note_rest(self, seconds, tokens, now):
        self.notes.append("rest")


@pytest.mark.parametrize(
    ("rounds", "notes"),
    [([says("好")], ["first", "rest"]), ([wishes(weather()), says("晴。")], ["first"])],
)
async def test_what_tools_take_is_not_held_against_the_model(rounds, notes):
    """Else the quickest model would be passed over as soon as it uses a slow tool."""
    pace, spoke = Noted(), []
    provider = tooled(Scripted(*rounds), Shelf(weather=Result(Outcome.OK, "晴")))

    pieces = write(
        provider,
        MODEL,
        QUESTION,
        left=60.0,
        segment_bytes=600,
        pace=pace,
        speak=lambda: spoke.append(1),
    )
    async with aclosing(pieces):
        [piece] = [piece async for piece in pieces]

    assert piece.final
    assert pace.notes == notes
    assert spoke == [1]


async def test_handing_over_ends_the_answer():
    model = Scripted(wishes(Call("1", "handover", '{"reason": "投诉"}'), text="我帮您找人工。"))

    text, last = await ask(tooled(model, Shelf()))

    assert (text, len(model.asked)) == ("我帮您找人工。", 1)
    assert last.extras is not None
    assert last.extras.handover


async def test_thoughts_before_a_call_are_no_words():
    """Else a model that only thought would hand over with an empty answer."""
    model = Scripted(wishes(Call("1", "handover", "{}"), text="<think>他要人工</think>"))

    text, _ = await ask(tooled(model, Shelf()))

    assert text.endswith("好的。")


async def test_thoughts_are_not_sent_back():
    model = Scripted([Chunk("<think>查</think>我查一下。"), *wishes(weather())], says("晴。"))

    await ask(tooled(model, Shelf(weather=Result(Outcome.OK, "晴"))))

    assert model.asked[1].messages[1].content == "我查一下。"


async def test_what_is_remembered_comes_with_the_last_chunk():
    model = Scripted(wishes(Call("1", "remember", '{"fact": "叫小王"}')), says("你好，小王！"))

    text, last = await ask(tooled(model, Shelf()))

    assert text == "你好，小王！"
    assert last.extras is not None
    assert last.extras.notes == ("叫小王",)


async def test_a_model_that_fails_after_a_call_fails():
    """The next model of the route begins anew."""
    model = Scripted(wishes(weather()), [ModelFailed(Reason.SERVER_ERROR)])

    with pytest.raises(ModelFailed):
        await ask(tooled(model, Shelf(weather=Result(Outcome.OK, "晴"))))
