import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.settings import Model
from queqiao_llm.pace import STALE, Pace, Times, in_time


def model(name):
    return Model(id=name, base_url="http://model/v1", model=name)


SLOW, FAST, NEW = model("slow"), model("fast"), model("new")
TIMES = {"slow": Times(piece=8.0, whole=20.0), "fast": Times(piece=1.0, whole=4.0), "new": None}


def observed(*, first, each, tokens, count=5, now=0.0):
    pace = Pace()
    for _ in range(count):
        pace.note_first(first, now)
        pace.note_rest(each * tokens, tokens, now)
    return pace


def chosen(*models, window=0.0, left=60.0):
    return [one.id for one in in_time(models, TIMES, window=window, left=left)]


def test_the_first_piece_of_a_long_answer_comes_long_before_its_end():
    times = observed(first=1.0, each=0.1, tokens=300).times(segment_bytes=400, now=1.0)

    assert times.piece == pytest.approx(11.0, rel=0.06)
    assert times.whole == pytest.approx(31.0, rel=0.06)


def test_a_short_answer_is_its_own_first_piece():
    times = observed(first=1.0, each=0.1, tokens=20).times(segment_bytes=600, now=1.0)

    assert times.piece == times.whole == pytest.approx(3.0, rel=0.06)


def test_little_was_seen_and_so_nothing_is_known():
    """One slow answer must not send everybody to another model."""
    assert observed(first=9.0, each=0.1, tokens=20, count=2).times(600, now=0.0) is None
    assert Pace().times(600, now=0.0) is None
    assert Pace().late(now=0.0) is None


def test_a_model_that_nobody_asks_for_a_while_is_unknown_again():
    """Else one that was slow once would be passed over for ever."""
    pace = observed(first=9.0, each=0.1, tokens=20, count=1000)

    assert pace.times(600, now=STALE - 1) is not None
    assert pace.times(600, now=STALE) is None


def test_nineteen_of_twenty_are_not_late():
    pace = Pace()
    for number in range(1, 101):
        pace.note_first(float(number), now=0.0)

    assert pace.late(now=0.0) == pytest.approx(95.0, rel=0.051)


def test_a_model_that_cannot_make_the_window_gives_way_to_one_that_can():
    assert chosen(SLOW, FAST, window=4.0) == ["fast"]


def test_without_a_window_the_first_choice_answers():
    assert chosen(SLOW, FAST) == ["slow", "fast"]


def test_where_nobody_makes_the_window_the_first_choice_answers_late():
    assert chosen(SLOW, FAST, window=0.5) == ["slow", "fast"]


def test_a_model_that_cannot_make_the_deadline_gives_way_as_well():
    assert chosen(SLOW, FAST, left=10.0) == ["fast"]
    assert chosen(SLOW, FAST, left=1.0) == ["slow", "fast"]


def test_a_model_of_which_nothing_is_known_gets_its_chance():
    assert chosen(SLOW, NEW, FAST, window=4.0) == ["new", "fast"]


@given(
    st.lists(st.sampled_from([SLOW, FAST, NEW]), unique=True, min_size=1),
    st.floats(0, 30),
    st.floats(0, 60),
)
def test_there_is_always_a_choice_in_the_order_of_the_route(models, window, left):
    names = chosen(*models, window=window, left=left)

    assert names
    assert names == [one.id for one in models if one.id in names]
