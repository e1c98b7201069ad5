from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_toolserver.clock import between, read_date, shifted, told
from queqiao_toolserver.problems import Problem

NOW = datetime(2026, 3, 1, 18, 30, 5, tzinfo=UTC)
TODAY = date(2026, 3, 2)


def moved(day="today", *, years=0, months=0, weeks=0, days=0):
    return shifted(day, years=years, months=months, weeks=weeks, days=days, today=TODAY)


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Asia/Shanghai", "2026-03-02 02:30:05 星期一 (Asia/Shanghai, UTC+08:00)"),
        ("北京", "2026-03-02 02:30:05 星期一 (Asia/Shanghai, UTC+08:00)"),
        ("", "2026-03-02 02:30:05 星期一 (Asia/Shanghai, UTC+08:00)"),
        ("America/New_York", "2026-03-01 13:30:05 星期日 (America/New_York, UTC-05:00)"),
        ("Asia/Kolkata", "2026-03-02 00:00:05 星期一 (Asia/Kolkata, UTC+05:30)"),
    ],
)
def test_the_time_is_that_of_the_place(zone, text):
    assert told(NOW, zone) == text


@pytest.mark.parametrize("zone", ["火星", "../../etc/passwd", "Asia/Nowhere", "\0", "/etc/hosts"])
def test_a_place_without_a_time_zone_is_refused_in_words(zone):
    with pytest.raises(Problem, match="time zone"):
        told(NOW, zone)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"days": 1}, "2026-03-03 星期二"),
        ({"day": "2026-01-31", "months": 1}, "2026-02-28 星期六"),
        ({"day": "2024年2月29日", "years": 1}, "2025-02-28 星期五"),
        ({"day": "2026/3/1", "weeks": -2}, "2026-02-15 星期日"),
        ({"day": "2026-01-01", "months": -1}, "2025-12-01 星期一"),
    ],
)
def test_dates_are_moved_as_people_count(arguments, text):
    assert moved(**arguments) == text


@pytest.mark.parametrize(
    "arguments",
    [
        {"day": "明天"},
        {"day": "2026-02-30"},
        {"days": 10**9},
        {"years": 9000},
        {"day": "0001-01-01", "days": -1},
    ],
)
def test_what_is_no_date_is_refused_in_words(arguments):
    with pytest.raises(Problem):
        moved(**arguments)


def test_days_between_are_counted_both_ways():
    assert between("2026-03-02", "2026-10-01", today=TODAY) == (
        "213 days from 2026-03-02 星期一 to 2026-10-01 星期四 (30 weeks and 3 days)"
    )
    assert between("2026-10-01", "today", today=TODAY).startswith("-213 days")


@given(st.dates(min_value=date(1, 1, 10)), st.integers(-5, 5))
def test_a_day_moved_is_as_far_as_it_was_moved(day, days):
    try:
        text = moved(day.isoformat(), days=days)
    except Problem:
        assert day > date(9999, 12, 20)
        return

    assert read_date(text, TODAY) == day + timedelta(days=days)
