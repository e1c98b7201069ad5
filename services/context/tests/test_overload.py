"""Too many turns wait for a model: the cheapest are shed first, a turn in flight never."""

from msgspec import structs
from queqiao_context.overload import Overload, is_too_many

from services.context.tests.talks import RULES, Talk, picture

BUSY = structs.replace(RULES, is_overloaded=True)
TEXT = RULES.settings.overloaded


def test_a_new_session_is_turned_away_at_once():
    talk = Talk(rules=BUSY)
    talk.hear("你好")
    talk.deliver()
    talk.hear(**picture())

    assert talk.texts == [TEXT, TEXT]
    assert talk.requests == []


def test_who_was_turned_away_is_welcome_afterwards():
    talk = Talk(rules=BUSY)
    talk.hear("你好")
    talk.deliver()
    talk.change(is_overloaded=False)

    talk.hear("你好")

    assert talk.questions == ["你好"]


def test_a_session_goes_on():
    talk = Talk()
    talk.exchange("问", "答")
    talk.change(is_overloaded=True)

    talk.hear("再问")

    assert talk.questions == ["问", "再问"]


def test_an_old_session_is_a_new_one():
    talk = Talk()
    talk.exchange("问", "答")
    talk.change(is_overloaded=True)
    talk.wait(2 * 86_400)

    talk.hear("再问")

    assert talk.texts[-1] == TEXT


def test_a_turn_in_flight_is_not_shed_and_repeats_are_merged_behind_it():
    talk = Talk()
    talk.hear("问")
    talk.change(is_overloaded=True)
    talk.hear("在吗")
    talk.hear("人呢")
    talk.answer()
    talk.deliver()

    assert talk.questions == ["问", "在吗\n人呢"]


def test_what_needs_no_model_is_answered_as_ever():
    talk = Talk(rules=BUSY)

    talk.hear("重置")

    assert talk.texts == [RULES.settings.reset_text]


def test_the_mode_is_left_well_below_where_it_was_entered():
    """Else it would come and go with every look."""
    assert not is_too_many(100, 100, already=False)
    assert is_too_many(101, 100, already=False)
    assert is_too_many(51, 100, already=True)
    assert not is_too_many(50, 100, already=True)
    assert not is_too_many(10_000, 0, already=False)


async def test_the_mode_is_entered_and_left_by_itself():
    backlog = iter([10, 101, 60, 40])

    async def waiting():
        return next(backlog)

    overload = Overload(limit=100, waiting=waiting)
    seen = []
    for _ in range(4):
        await overload.look()
        seen.append(overload.is_on())

    assert seen == [False, True, True, False]


async def test_without_a_limit_nobody_asks():
    async def waiting():
        raise AssertionError("asked")

    overload = Overload(limit=0, waiting=waiting)
    await overload.look()

    assert not overload.is_on()
