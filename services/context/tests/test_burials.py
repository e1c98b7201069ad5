"""What is told of an event that context itself gives up: nobody waits for it in vain."""

import pytest
from queqiao_common.events import Delivery, Summarised, TurnTimeout, Verdict, encode
from queqiao_common.testing import (
    ACCOUNT,
    CONV,
    TURN,
    delivered,
    inbound,
    published,
    screened,
    screened_segment,
)
from queqiao_common.worker import Buried
from queqiao_context import burials
from queqiao_context.conversation import record, settle
from queqiao_context.memory import take_summary

from services.context.tests.talks import RULES, Talk, only, opened

TOLD = {
    burials.message: screened(inbound("问"), sequence=7),
    burials.piece: screened_segment(number=2, attempt=3),
    burials.result: delivered(via="passive", parked=2),
    burials.summary: Summarised(id="s", account=ACCOUNT, conv=CONV, upto=4, text="聊了天气"),
    burials.deadline: TurnTimeout(id=f"due:{TURN}", account=ACCOUNT, conv=CONV, turn_id=TURN),
}


async def told(bury, body):
    return await published(bury(Buried("test", body, 1, "why")))


@pytest.mark.parametrize("bury", TOLD, ids=lambda bury: bury.__name__)
async def test_what_is_given_up_is_told_once_under_an_id_of_its_own(bury):
    """Under its own id the stream would drop it; told again and again it would never end."""
    event = TOLD[bury]

    [again] = await told(bury, encode(event))

    assert type(again) is type(event)
    assert again.id != event.id
    assert [one.id for one in await told(bury, encode(event))] == [again.id]
    assert await told(bury, encode(again)) == []
    assert await told(bury, b"junk") == []


async def test_a_message_given_up_keeps_its_place_and_its_user():
    message = inbound("问")
    [again] = await told(burials.message, encode(screened(message, sequence=7)))
    unreadable = encode(screened(message, sequence=7)).replace(b'"msgid"', b'"msgdi"')
    [nameless] = await told(burials.message, unreadable)

    assert (again.sequence, again.verdict, again.message) == (7, Verdict.FAILED, message)
    assert (nameless.sequence, nameless.message) == (7, None)


async def test_a_turn_whose_piece_is_given_up_ends_with_the_apology():
    piece = screened_segment("半句", number=1)

    [again] = await told(burials.piece, encode(piece))

    assert only(record(opened("问"), again, RULES), Delivery).text == RULES.settings.apology


async def test_after_a_result_that_is_given_up_the_next_piece_is_released():
    """Nobody else would say so: the broker drops a delivery that is published again."""
    talk = Talk()
    talk.hear("问")
    talk.answer("第一段", final=False)
    talk.answer("第二段", number=1)
    result = delivered(delivery_id=talk.state.out.id)

    [again] = await told(burials.result, encode(result))

    assert only(settle(talk.state, again, RULES), Delivery).text == "第二段"


async def test_a_summary_that_is_given_up_is_asked_for_again_later():
    summary = TOLD[burials.summary]

    [again] = await told(burials.summary, encode(summary))

    assert (again.upto, again.text) == (4, "")
    assert take_summary(opened("问"), again) == opened("问")
