"""Too many turns wait for a model: the cheapest are shed first, a turn in flight never."""

from msgspec import structs
from queqiao_context.overload import Overload, Shed, is_too_many, step

from services.context.tests.talks import RULES, Talk, picture, turn_id

BUSY = structs.replace(RULES, shed=Shed.NEW)
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
    talk.change(shed=Shed.NOTHING)

    talk.hear("你好")

    assert talk.questions == ["你好"]


def test_a_session_goes_on():
    talk = Talk()
    talk.exchange("问", "答")
    talk.change(shed=Shed.NEW)

    talk.hear("再问")

    assert talk.questions == ["问", "再问"]


def test_an_old_session_is_a_new_one():
    talk = Talk()
    talk.exchange("问", "答")
    talk.change(shed=Shed.NEW)
    talk.wait(2 * 86_400)

    talk.hear("再问")

    assert talk.texts[-1] == TEXT


def test_a_turn_in_flight_is_not_shed_and_repeats_are_merged_behind_it():
    talk = Talk()
    talk.hear("问")
    talk.change(shed=Shed.NEW)
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


def test_repeats_are_shed_first_then_new_sessions_and_in_the_opposite_order_no_more():
    """The cheapest first: who asks the same again loses nothing by waiting."""
    waiting = (50, 51, 100, 101, 51, 50, 26, 25)
    seen, now = [], Shed.NOTHING
    for number in waiting:
        now = step(number, 100, now)
        seen.append(now)

    nothing, repeats, new = Shed.NOTHING, Shed.REPEATS, Shed.NEW
    assert seen == [nothing, repeats, repeats, new, new, repeats, repeats, nothing]
    assert step(10_000, 0, now) is nothing


def test_a_question_in_flight_that_is_asked_again_has_the_same_answer():
    talk = Talk()
    talk.hear("几点开门")
    talk.change(shed=Shed.REPEATS)
    talk.hear(" 几点开门\n")
    talk.answer("九点")
    talk.deliver()

    assert talk.questions == ["几点开门"]
    assert [one.msgid for one in talk.deliveries[0].waiting] == ["m_1", "m_2"]
    assert talk.state.queue == ()


def test_a_question_that_waits_and_is_asked_again_waits_once():
    talk = Talk()
    talk.hear("问")
    talk.change(shed=Shed.REPEATS)
    for text in ("几点开门", "在哪里", "几点开门"):
        talk.hear(text)
    talk.answer()
    talk.deliver()
    talk.answer("九点", turn_id=turn_id(2))
    talk.deliver()

    assert talk.questions == ["问", "几点开门\n在哪里"]
    assert {one.msgid for one in talk.deliveries[1].waiting} == {"m_2", "m_3", "m_4"}


def test_who_asks_again_what_was_just_answered_is_asked_for_patience():
    talk = Talk()
    talk.exchange("几点开门", "九点")
    talk.change(shed=Shed.REPEATS)

    talk.hear("几点开门")
    talk.deliver()
    talk.hear("在哪里")

    assert talk.texts[1] == TEXT
    assert talk.questions == ["几点开门", "在哪里"]


def test_a_repeat_behind_the_last_delivery_is_asked_for_patience():
    """The delivery names whom it is for, and this one is not among them."""
    talk = Talk()
    talk.hear("几点开门")
    talk.answer("九点")
    talk.change(shed=Shed.REPEATS)
    talk.hear("几点开门")
    talk.deliver()
    talk.deliver()

    assert talk.questions == ["几点开门"]
    assert talk.texts == ["九点", TEXT]


def test_after_an_apology_the_question_may_be_asked_again():
    talk = Talk()
    talk.exchange("早", "早")
    talk.hear("几点开门")
    talk.answer("", failed=True)
    talk.deliver()
    talk.change(shed=Shed.REPEATS)

    talk.hear("几点开门")

    assert talk.questions == ["早", "几点开门", "几点开门"]


def test_while_only_repeats_are_shed_a_new_session_begins():
    talk = Talk(rules=structs.replace(RULES, shed=Shed.REPEATS))

    talk.hear("你好")

    assert talk.questions == ["你好"]


def test_without_overload_a_repeat_is_a_question():
    talk = Talk()
    talk.exchange("几点开门", "九点")

    talk.hear("几点开门")

    assert talk.questions == ["几点开门"] * 2


async def test_the_mode_is_entered_and_left_by_itself():
    backlog = iter([10, 60, 101, 60, 40, 20])

    async def waiting():
        return next(backlog)

    overload = Overload(limit=100, waiting=waiting)
    seen = []
    for _ in range(6):
        await overload.look()
        seen.append((overload.sheds_repeats(), overload.sheds_new()))

    none, repeats, new = (False, False), (True, False), (False, True)
    assert seen == [none, repeats, new, new, repeats, none]


async def test_without_a_limit_nobody_asks():
    async def waiting():
        raise AssertionError("asked")

    overload = Overload(limit=0, waiting=waiting)
    await overload.look()

    assert overload.shed() is Shed.NOTHING
