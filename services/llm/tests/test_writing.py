import asyncio
from contextlib import aclosing, suppress

import pytest
from queqiao_common.settings import Model
from queqiao_llm.completion import Chunk, Message, ModelFailed, Question, Reason, Usage
from queqiao_llm.pace import Pace
from queqiao_llm.writing import Piece, write

QUESTION = Question((Message("user", "你好"),))
USAGE = Usage(3, 5)
SETTINGS = {"base_url": "http://model/v1", "model": "some-model"}


class Script:
    """A provider that says these chunks, raises these errors, and waits at `None` for ever."""

    def __init__(self, *steps: Chunk | Exception | None) -> None:
        self.steps = steps
        self.closed = False

    async def complete(self, question):
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                if step is None:
                    await asyncio.Event().wait()
                else:
                    yield step
        finally:
            self.closed = True


async def written(script, *, left=60.0, segment_bytes=10, **settings):
    model = Model(id="main", **SETTINGS, **settings)
    pieces = write(script, model, QUESTION, left=left, segment_bytes=segment_bytes, pace=Pace())
    async with aclosing(pieces):
        return [piece async for piece in pieces]


async def failure(script, **options):
    with pytest.raises(ModelFailed) as error:
        await written(script, **options)
    assert script.closed
    return error.value.reason


async def test_an_answer_comes_in_pieces_of_which_the_last_is_final():
    script = Script(
        Chunk("第一段。\n\n第二"),
        Chunk("段。\n\n"),
        Chunk("第三段。"),
        Chunk(done=True, usage=USAGE),
    )

    assert await written(script) == [
        Piece("第一段。"),
        Piece("第二段。"),
        Piece("第三段。", final=True, usage=USAGE),
    ]


async def test_thoughts_are_left_out():
    script = Script(Chunk("<think>\n\n嗯嗯嗯嗯\n\n</think>\n\n你好"), Chunk(done=True))

    assert [piece.text for piece in await written(script)] == ["你好"]


@pytest.mark.parametrize("text", ["", " \n\n ", "<think>只是想想"])
async def test_an_answer_without_a_word_is_a_failure(text):
    """An empty message would be refused by WeChat, and the user would wait for ever."""
    assert await failure(Script(Chunk(text), Chunk(done=True))) is Reason.EMPTY


async def test_an_answer_that_was_filtered_away_is_refused():
    filtered = Script(Chunk(done=True, finish="content_filter"))

    assert await failure(filtered) is Reason.REFUSED


async def test_an_error_as_finish_reason_is_a_failure():
    assert await failure(Script(Chunk("半"), Chunk(done=True, finish="error"))) is (
        Reason.SERVER_ERROR
    )


async def test_silence_before_the_first_text_has_its_own_limit():
    assert await failure(Script(None), first_token_timeout=0.01) is Reason.FIRST_TOKEN_TIMEOUT


async def test_a_model_that_thinks_aloud_is_alive():
    script = Script(Chunk(), None)

    assert await failure(script, first_token_timeout=0.01, timeout=0.02) is Reason.TIMEOUT


async def test_silence_in_the_middle_ends_with_the_time_for_the_whole_answer():
    script = Script(Chunk("第一段。\n\n第二"), None)

    assert await failure(script, timeout=0.01) is Reason.TIMEOUT


async def test_the_deadline_of_the_turn_is_not_the_fault_of_the_model():
    assert await failure(Script(None), left=0.01) is Reason.DEADLINE


async def test_the_pieces_before_a_failure_have_been_passed_on():
    script = Script(Chunk("第一段。\n\n第二"), ModelFailed(Reason.DISCONNECTED))
    model = Model(id="main", **SETTINGS)
    pieces = write(script, model, QUESTION, left=9.0, segment_bytes=1, pace=Pace())

    assert await anext(pieces) == Piece("第一段。")
    with pytest.raises(ModelFailed):
        await anext(pieces)


async def test_what_the_model_does_not_count_is_estimated():
    """Else whoever answers without counting would cost nothing, and no budget would ever end."""
    [piece] = await written(Script(Chunk("一二三四五六七八"), Chunk(done=True)))

    assert piece.usage.prompt_tokens >= 4
    assert 8 <= piece.usage.completion_tokens <= 12


async def observed(script, times, **options):
    """What is known of a model's pace after so many runs."""
    model, pace = Model(id="main", **SETTINGS, first_token_timeout=0.02), Pace()
    for _ in range(times):
        pieces = write(script, model, QUESTION, left=60.0, segment_bytes=10, pace=pace, **options)
        with suppress(ModelFailed):
            async with aclosing(pieces):
                [piece async for piece in pieces]
    return pace


async def test_an_answer_tells_how_fast_the_model_is():
    pace = await observed(Script(Chunk("你好"), Chunk(done=True, usage=USAGE)), times=3)

    assert pace.times(600, asyncio.get_running_loop().time()) is not None
    assert pace.tokens(most=None) == USAGE.completion_tokens


async def test_a_model_that_stays_silent_is_known_to_be_slow():
    """Else one that hangs would stay the first choice of those who are in a hurry."""
    pace = await observed(Script(None), times=3)

    assert pace.late(asyncio.get_running_loop().time()) > 0.015


async def test_the_first_text_is_told_at_once_and_once():
    told = []
    script = Script(Chunk(), Chunk("你"), Chunk("好"), Chunk(done=True))

    await observed(script, times=1, speak=lambda: told.append("spoke"))

    assert told == ["spoke"]
