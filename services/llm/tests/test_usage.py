from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common import events
from queqiao_llm.usage import (
    REMEMBERED,
    Line,
    Tally,
    UserDay,
    admitted,
    day_of,
    line_of,
    returned,
    settled,
    tally_of,
)

TOOK = Tally(1, 100, 50, 700)
SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_a_question_counts_once_however_often_it_is_delivered():
    day = admitted(admitted(None, "t1", "assistant"), "t1", "assistant")
    day = settled(settled(day, "t1", "assistant", TOOK), "t1", "assistant", TOOK)

    assert day.total == TOOK


def test_a_question_that_nobody_could_answer_is_given_back():
    """Who was let down should not pay for it."""
    day = returned(admitted(None, "t1", "assistant"), "t1", "assistant")

    assert day.total == Tally()
    assert admitted(day, "t1", "assistant").total.questions == 1


def test_an_answered_question_is_not_given_back():
    day = settled(admitted(None, "t1", "tutor"), "t1", "tutor", TOOK)

    assert returned(day, "t1", "tutor") == day


def test_personas_are_counted_apart():
    day = admitted(admitted(None, "t1", "assistant"), "t2", "tutor")

    assert {name: tally.questions for name, tally in day.personas.items()} == {
        "assistant": 1,
        "tutor": 1,
    }
    assert day.total.questions == 2


def test_a_document_stays_small_however_much_somebody_asks():
    day = None
    for number in range(1000):
        day = settled(admitted(day, f"t{number}", "a"), f"t{number}", "a", TOOK)

    assert day.total.questions == 1000
    assert len(day.admitted) == len(day.settled) == REMEMBERED


def test_a_day_begins_at_the_operators_midnight():
    before, after = 1_767_196_799_000, 1_767_196_800_000  # 2025-12-31 16:00 UTC

    assert (day_of(before, SHANGHAI), day_of(after, SHANGHAI)) == ("20251231", "20260101")


def test_an_answer_without_counts_is_a_question_all_the_same():
    assert tally_of(None) == Tally(1)
    assert tally_of(events.Usage(input_tokens=3, output_tokens=5, cost_micros=7)) == Tally(
        1, 3, 5, 7
    )


def test_documents_survive_their_encoding():
    day = settled(admitted(None, "t1", "tutor"), "t1", "tutor", TOOK)

    assert msgspec.json.decode(msgspec.json.encode(day), type=UserDay) == day


@given(st.text(st.characters(exclude_characters="|")), st.text(), st.text())
def test_the_name_of_a_line_is_read_as_it_was_written(account, persona, model):
    line = Line(account, persona.replace("|", ""), model)

    assert line_of(line.key) == line
