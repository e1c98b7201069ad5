import pytest
from msgspec import structs
from queqiao_common.testing import CONV, published, received, request, segment
from queqiao_llm.completion import Extras
from queqiao_llm.preparing import Notice, Prepared, Preparing
from queqiao_llm.runs import Said
from queqiao_llm.turns import Turns


def writing(*pieces):
    async def write(turn):
        for piece in pieces:
            yield Said(piece)

    return write


async def unreachable(turn):
    raise AssertionError("nobody should be asked")
    yield


def summary(**fields):
    return received(request("用户说了很多", purpose="summary", upto=7, **fields))


async def summarised(*pieces):
    [event] = await published(Turns(unreachable, summarise=writing(*pieces)).handle(summary()))
    return event


async def test_a_summary_is_no_piece_of_an_answer():
    event = await summarised(segment("他住在"), segment("成都。", number=1, final=True))

    assert (event.id, event.text, event.upto) == (f"summary:main.{CONV}.7", "他住在\n\n成都。", 7)


async def test_a_summary_is_what_the_last_run_wrote():
    event = await summarised(segment("半"), segment("全", attempt=2, final=True))

    assert event.text == "全"


@pytest.mark.parametrize("fields", [{"failed": True, "text": ""}, {"notice": True}])
async def test_a_summary_that_was_not_made_is_empty_and_nothing_more(fields):
    """Nobody waits for it: the next one is made with the next answer."""
    event = await summarised(segment(**({"final": True} | fields)))

    assert event.text == ""


async def test_every_piece_passes_every_step_before_it_leaves():
    async def answer(turn):
        yield segment("一")
        yield segment("二", number=1, final=True)

    async def louder(request, piece):
        return structs.replace(piece, text=piece.text + "！")

    turns = Turns(answer, summarise=unreachable, finish=(louder, louder))
    events = await published(turns.handle(received(request())))

    assert [event.text for event in events] == ["一！！", "二！！"]


async def test_the_steps_prepare_what_the_models_are_asked():
    async def look_up(request, prepared):
        return structs.replace(prepared, extras=prepared.extras | Extras(footer="来源：手册"))

    async def ask(turn, prepared):
        yield Said(segment(prepared.extras.footer))

    preparing = Preparing(ask, steps=(look_up, look_up))
    [said] = [one async for one in preparing.write(received(request()))]

    assert said.segment.text == "来源：手册\n来源：手册"


async def test_a_step_may_answer_in_the_place_of_the_models():
    async def refuse(request, prepared):
        return structs.replace(prepared, notice=Notice("看不了图片", Extras(handover=True)))

    async def ask(turn, prepared: Prepared):
        raise AssertionError("nobody should be asked")
        yield

    preparing = Preparing(ask, steps=(refuse,))
    [said] = [one async for one in preparing.write(received(request(), attempt=2))]
    piece = said.segment

    assert (piece.text, piece.notice, piece.final, piece.handover) == (
        "看不了图片",
        True,
        True,
        True,
    )
    assert piece.attempt == 101
    assert said.cut
