"""Dates and times. Pure: the present is an argument."""

import calendar
import re
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from queqiao_toolserver.problems import Problem

WEEKDAYS = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")
CITIES = {
    "": "Asia/Shanghai",
    "中国": "Asia/Shanghai",
    "北京": "Asia/Shanghai",
    "上海": "Asia/Shanghai",
    "香港": "Asia/Hong_Kong",
    "台北": "Asia/Taipei",
    "东京": "Asia/Tokyo",
    "首尔": "Asia/Seoul",
    "新加坡": "Asia/Singapore",
    "曼谷": "Asia/Bangkok",
    "迪拜": "Asia/Dubai",
    "莫斯科": "Europe/Moscow",
    "巴黎": "Europe/Paris",
    "柏林": "Europe/Berlin",
    "伦敦": "Europe/London",
    "纽约": "America/New_York",
    "芝加哥": "America/Chicago",
    "洛杉矶": "America/Los_Angeles",
    "悉尼": "Australia/Sydney",
}
WRITTEN = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*[日号]?")
FARTHEST = 400_000
"""Days, months or years that a date may be moved by."""


def told(now: datetime, timezone: str) -> str:
    """Say what time it is in a place: `2026-03-01 09:05:00 星期日 (Asia/Shanghai, UTC+08:00)`.

    `timezone` is an IANA name or one of a few cities in Chinese; `now` is aware.

    Raises:
        Problem: there is no such time zone.
    """
    zone, name = _zone(timezone)
    local = now.astimezone(zone)
    offset = local.strftime("%z")
    weekday = WEEKDAYS[local.weekday()]
    return f"{local:%Y-%m-%d %H:%M:%S} {weekday} ({name}, UTC{offset[:3]}:{offset[3:5]})"


def shifted(day: str, *, years: int, months: int, weeks: int, days: int, today: date) -> str:
    """Move a date: first by years and months, cut to the end of the month, then by days.

    Raises:
        Problem: it is no date, or moved out of the calendar.
    """
    start = read_date(day, today)
    if max(abs(years), abs(months), abs(weeks), abs(days)) > FARTHEST:
        raise Problem("too far away")
    month = start.year * 12 + start.month - 1 + years * 12 + months
    try:
        first = date(month // 12, month % 12 + 1, 1)
        last = calendar.monthrange(first.year, first.month)[1]
        moved = first.replace(day=min(start.day, last)) + timedelta(weeks=weeks, days=days)
    except (ValueError, OverflowError):
        raise Problem("outside of the years 1 to 9999") from None
    return f"{moved.isoformat()} {WEEKDAYS[moved.weekday()]}"


def between(first: str, second: str, *, today: date) -> str:
    """Say how many days lie between two dates, and what weekdays they are.

    Raises:
        Problem: one of them is no date.
    """
    start, end = read_date(first, today), read_date(second, today)
    days = (end - start).days
    named = f"{start.isoformat()} {WEEKDAYS[start.weekday()]}"
    other = f"{end.isoformat()} {WEEKDAYS[end.weekday()]}"
    weeks = f" ({abs(days) // 7} weeks and {abs(days) % 7} days)" if abs(days) >= 7 else ""
    return f"{days} days from {named} to {other}{weeks}"


def read_date(text: str, today: date) -> date:
    """Read `2026-03-01`, `2026年3月1日`, or `today` (今天).

    Raises:
        Problem: it is none of them.
    """
    text = text.strip()
    if text.lower() in {"", "today", "今天"}:
        return today
    found = WRITTEN.match(text)
    if found is None:
        raise Problem(f"not a date: {text[:40]!r}; write it as 2026-03-01")
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        raise Problem(f"there is no such day: {text[:40]!r}") from None


def zone_of(timezone: str) -> tzinfo:
    """Return a time zone by its name.

    Raises:
        Problem: there is none.
    """
    return _zone(timezone)[0]


def _zone(timezone: str) -> tuple[tzinfo, str]:
    name = CITIES.get(timezone.strip(), timezone.strip())
    try:
        return ZoneInfo(name), name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Problem(
            f"no time zone is called {timezone[:40]!r}; write it as Asia/Shanghai"
        ) from None
