from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.settings import Config, Handover, Notes
from queqiao_llm.completion import Call, Chunk, Extras, Tool, Usage
from queqiao_llm.tools import own
from queqiao_llm.tools.results import Outcome, Result
from queqiao_llm.tools.rounds import HANDING_OVER, Rounds, answered, read

WEATHER = Tool("map__weather", "", {})
TOOLS = (WEATHER, own.HANDOVER, own.REMEMBER)


def weather(city="北京", call="c1"):
    return Call(call, "map__weather", f'{{"city": "{city}"}}')


def remember(fact):
    return Call("r1", "remember", f'{{"fact": "{fact}"}}')


HAND_OVER = Call("h1", "handover", "{}")


def test_calls_are_read_and_what_cannot_be_done_is_refused():
    calls = (weather(), Call("c2", "map__weather", "{oops"), Call("c3", "rm", "{}"))

    steps = read(calls, TOOLS, 4)

    assert [step.refusal for step in steps] == [None, Outcome.MALFORMED, Outcome.UNKNOWN]
    assert steps[0].arguments == {"city": "北京"}


def test_the_same_call_has_one_key_however_it_is_written():
    first, second = read(
        (Call("1", WEATHER.name, '{"a":1,"b":2}'), Call("2", WEATHER.name, '{"b": 2, "a": 1}')),
        TOOLS,
        1,
    )

    assert first.key == second.key
    assert second.refusal is None


def test_more_different_calls_than_allowed_are_refused():
    steps = read(tuple(weather(city, city) for city in "甲乙丙"), TOOLS, 2)

    assert [step.refusal for step in steps] == [None, None, Outcome.REFUSED]


def test_every_call_gets_an_answer_with_its_id():
    """An endpoint refuses a question in which a call has none."""
    steps = read((weather(), weather(call="c2"), Call("c3", "rm", "{}")), TOOLS, 4)

    messages, _ = answered(steps, {steps[0].key: Result(Outcome.OK, "晴")}, Extras())

    assert [message.answers for message in messages] == ["c1", "c2", "c3"]
    assert {message.role for message in messages} == {"tool"}
    assert "晴" in messages[0].content
    assert "晴" in messages[1].content


names = st.sampled_from([WEATHER.name, "handover", "remember", "rm", ""]) | st.text()
calls = st.builds(Call, st.text(max_size=5), names, st.text() | st.sampled_from(["{}", '{"a": 1}']))


@given(st.lists(calls, max_size=8), st.integers(1, 8))
def test_whatever_a_model_wishes_is_answered_call_by_call(wished, most):
    steps = read(wished, TOOLS, most)
    carried_out = {step.key for step in steps if step.refusal is None}
    known = {key: Result(Outcome.OK, "好") for key in carried_out}

    messages, extras = answered(steps, known, Extras())

    assert [message.answers for message in messages] == [call.id for call in wished]
    assert all(message.content for message in messages)
    assert len(carried_out) <= most
    assert len(extras.notes) <= own.MOST


def test_what_is_to_be_remembered_goes_out_with_the_answer():
    steps = read((remember("叫小王\\n  喜欢猫"), remember("叫小王 喜欢猫"), remember("")), TOOLS, 9)

    _, extras = answered(steps, {}, Extras())

    assert extras == Extras(notes=("叫小王 喜欢猫",))


def test_only_so_many_notes_come_of_one_answer():
    steps = read(tuple(remember(f"{number}") for number in range(9)), TOOLS, 9)

    _, extras = answered(steps, {}, Extras())

    assert len(extras.notes) == own.MOST


def test_a_note_is_one_short_line():
    [step] = read((remember("长" * 999),), TOOLS, 1)

    _, extras = answered([step], {}, Extras())

    assert [len(note) for note in extras.notes] == [own.LONGEST]


def test_after_handing_over_nothing_more_is_asked():
    steps = read((HAND_OVER,), TOOLS, 4)
    _, extras = answered(steps, {}, Extras())

    rounds = Rounds(extras=extras)

    assert extras.handover
    assert rounds.is_over(steps)
    assert rounds.ended(Chunk(done=True)).text == HANDING_OVER


def test_a_model_that_has_answered_need_not_speak_again_after_it_remembered():
    steps = read((remember("叫小王"),), TOOLS, 4)

    assert Rounds(said=True).is_over(steps)
    assert not Rounds(said=False).is_over(steps)
    assert not Rounds(said=True).is_over(read((weather(),), TOOLS, 4))
    assert not Rounds(said=True).is_over(read((Call("1", "rm", "{}"),), TOOLS, 4))


def test_usage_is_that_of_all_rounds():
    first = Rounds().after(Chunk(done=True, usage=Usage(3, 5)), said=False)
    second = first.after(Chunk("好", done=True, usage=Usage(10, 1)), said=True)

    assert second.ended(Chunk("好", done=True)) == Chunk("好", done=True, usage=Usage(13, 6))


def test_our_own_tools_are_offered_where_they_are_switched_on():
    assert own.offered(Config()) == ()
    assert own.offered(Config(handover=Handover(by_model=True), notes=Notes(enabled=True))) == (
        own.HANDOVER,
        own.REMEMBER,
    )
    assert own.offered(Config(handover=Handover(enabled=False, by_model=True))) == ()
