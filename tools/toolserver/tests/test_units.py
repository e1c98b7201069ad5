import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_toolserver.problems import Problem
from queqiao_toolserver.units import SCALES, UNITS, convert


@pytest.mark.parametrize(
    ("value", "source", "target", "text"),
    [
        (3, "斤", "kg", "1.5 kg"),
        (1.2, "公里", "m", "1200 m"),
        (1, "英里", "公里", "1.609344 公里"),
        (100, "℉", "℃", "340/9 ≈ 37.7777777777778 ℃"),
        (0, "C", "F", "32 F"),
        (-40, "C", "F", "-40 F"),
        (1, "亩", "平方米", "2000/3 ≈ 666.666666666667 平方米"),
        (36, "km/h", "m/s", "10 m/s"),
        (1, "GiB", "MB", "1073.741824 MB"),
        (2, "KM", "m", "2000 m"),
    ],
)
def test_units_are_converted_exactly(value, source, target, text):
    assert convert(value, source, target) == text


@pytest.mark.parametrize(
    ("value", "source", "target"),
    [(1, "斤", "米"), (1, "光年", "m"), (1, "C", "m"), ("x", "m", "m"), ("1/0", "m", "m")],
)
def test_what_cannot_be_converted_is_refused_in_words(value, source, target):
    with pytest.raises(Problem):
        convert(value, source, target)


@given(st.sampled_from(sorted(UNITS)), st.integers(-1000, 1000))
def test_a_unit_is_itself(name, value):
    assert convert(value, name, name) == f"{value} {name}"


def test_no_two_units_share_a_name():
    names = [name for units in SCALES.values() for names in units for name in names.split()]

    assert len(names) == len(set(names))
