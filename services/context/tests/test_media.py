"""Pictures and voice: what they ask, what they wait for, what stays of them."""

import pytest
from msgspec import structs
from queqiao_common.events import Media, TurnTimeout
from queqiao_common.settings import ContextSettings
from queqiao_common.testing import CONV
from queqiao_common.worker import Outgoing

from services.context.tests.talks import PASSIVE, RULES, Talk, picture

GATHER = RULES.settings.gather


def voice(**fields):
    media = Media(**({"kind": "voice", "key": "main/v1"} | fields))
    return {"kind": "unsupported", "msg_type": "voice", "media": (media,)}


def test_a_picture_waits_a_moment_for_more_by_the_broker_s_clock():
    talk = Talk()

    talk.hear(**picture())

    assert talk.requests == []
    assert talk.timers[-1].due_ms == RULES.now_ms + GATHER * 1000
    talk.ring()
    [request] = talk.requests
    assert request.prompt[-1].content == "[图片]"
    assert request.prompt[-1].media == ("main/p1",)


@pytest.mark.parametrize("rules", [RULES, PASSIVE])
def test_pictures_and_then_a_question_are_one_turn(rules):
    talk = Talk(rules=rules)
    talk.hear(**picture("main/p1"))
    talk.hear(**picture("main/p2"))

    talk.hear("这两张有什么不同？")

    [request] = talk.requests
    assert request.prompt[-1].content == "这两张有什么不同？"
    assert request.prompt[-1].media == ("main/p1", "main/p2")
    assert len(talk.state.turn.waiting) == 3


def test_each_picture_begins_the_moment_anew_and_older_timers_are_deaf():
    talk = Talk()
    talk.hear(**picture("main/p1"))
    first = talk.timers[-1]
    talk.wait(1.5)
    talk.hear(**picture("main/p2"))

    talk.ring(first)
    assert talk.requests == []
    talk.ring()

    assert talk.requests[0].prompt[-1].media == ("main/p1", "main/p2")


def test_the_broker_s_clock_decides_where_ours_is_behind():
    """Else the timer would be set again and again, without a pause."""
    talk = Talk()
    talk.hear(**picture())
    talk.wait(-60)

    talk.ring()

    assert len(talk.requests) == 1


def test_a_timer_that_fires_twice_opens_one_turn():
    talk = Talk()
    talk.hear(**picture())
    talk.ring()

    talk.ring()

    assert talk.state.turns == 1


def test_a_lost_timer_is_made_up_for_by_whoever_looks():
    talk = Talk()
    talk.hear(**picture())
    talk.wait(30)
    late = TurnTimeout(id="late", account="main", conv=CONV, turn_id="main.x.0")

    talk.ring(Outgoing(late))

    assert len(talk.requests) == 1


def test_pictures_sent_while_an_answer_is_written_wait_and_then_go_on():
    talk = Talk()
    talk.hear("问")
    talk.hear(**picture())
    talk.answer()
    talk.wait(0.5)
    talk.deliver()
    assert len(talk.requests) == 1
    assert talk.timers[-1].due_ms == RULES.now_ms + GATHER * 1000

    talk.ring()

    assert talk.requests[-1].prompt[-1].media == ("main/p1",)


def test_without_a_moment_to_wait_every_picture_is_a_question():
    talk = Talk(rules=structs.replace(RULES, settings=ContextSettings(gather=0)))

    talk.hear(**picture())

    assert len(talk.requests) == 1


def test_whatever_else_is_sent_ends_the_waiting():
    talk = Talk()
    talk.hear(**picture())

    talk.hear("重置")

    assert len(talk.requests) == 1


def test_what_was_heard_is_the_question():
    talk = Talk()

    talk.hear("明天天气", **voice(text="明天天气"))

    assert talk.questions == ["明天天气"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (picture(key="", trouble="gone"), RULES.media.gone),
        (picture(key="", trouble="too_large"), RULES.media.too_large),
        (picture(key="", trouble="failed"), RULES.media.failed),
        (picture(key="", trouble="a new trouble"), RULES.media.failed),
        (voice(trouble="no_speech"), RULES.media.no_speech),
        (voice(trouble="unclear"), RULES.media.unclear),
        (voice(), RULES.media.unclear),
        (picture(key=""), RULES.settings.unsupported),
    ],
)
def test_what_is_of_no_use_is_said_in_its_own_words(fields, text):
    talk = Talk()

    talk.hear(**fields)

    assert talk.texts == [text]
    assert talk.requests == []


def test_a_follow_up_may_refer_to_the_pictures_of_the_last_turns():
    talk = Talk()
    talk.hear(**picture())
    talk.hear("这是什么？")
    talk.answer("猫")
    talk.deliver()

    talk.hear("它多大？")

    assert [one.media for one in talk.requests[-1].prompt] == [(), ("main/p1",), (), ()]


def test_only_the_latest_pictures_are_shown_again():
    talk = Talk(rules=structs.replace(RULES, settings=ContextSettings(max_pictures=2)))
    for number in range(3):
        talk.hear(**picture(f"main/p{number}"))
        talk.hear(f"第{number}张")
        talk.answer()
        talk.deliver()

    talk.hear("哪张最好？")

    shown = [one.media for one in talk.requests[-1].prompt if one.role == "user"]
    assert shown == [(), ("main/p1",), ("main/p2",), ()]
