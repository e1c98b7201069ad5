"""`queqiao usage`: what the models' answers took and cost, by day.

Totals are those that the replicas of llm write every few seconds; single users are counted where
`[budgets]` is enabled, and named by their conversation, never by their openid.
"""

import argparse
import time
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from queqiao_common.bus import Bus
from queqiao_common.topology import USAGE
from queqiao_llm.usage import Shard, Tally, UserDay, day_of, line_of, total

from queqiao_cli.dead import aligned
from queqiao_cli.stored import entries, opened
from queqiao_cli.terminal import say

DAY = "%Y%m%d"
GROUPS = ("account", "persona", "model", "user")
PREFIX = f"$KV.{USAGE.name}"


class Row(NamedTuple):
    """What one account, persona, model or user had in a day."""

    day: str
    name: str
    tally: Tally


async def show(options: argparse.Namespace) -> int:
    """Print a line for each day and name, and the sum of all."""
    async with opened(options) as (config, bus):
        zone = ZoneInfo(config.budgets.timezone)
        days = wanted(options.day, options.days, now_ms=time.time_ns() // 1_000_000, zone=zone)
        rows = [row for day in days async for row in _rows(bus, day, options.by)]
    if options.json:
        say(
            msgspec.json.format(
                msgspec.json.encode(exported(rows, config.budgets.currency))
            ).decode()
        )
    else:
        say(*printed(rows, by=options.by, currency=config.budgets.currency))
    return 0


def day(text: str) -> str:
    """Read a day from the command line: `2026-01-31`.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%d").strftime(DAY)  # noqa: DTZ007 - a day alone
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day like 2026-01-31") from None


def days(text: str) -> int:
    """Read a number of days from the command line.

    Raises:
        argparse.ArgumentTypeError: it is none, or more than are kept.
    """
    if not text.isdecimal() or not 1 <= int(text) <= 400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days from 1 to 400")
    return int(text)


def wanted(one: str | None, count: int, *, now_ms: int, zone: ZoneInfo) -> list[str]:
    """Return the days to be shown, oldest first: one, or the last ones up to today."""
    if one is not None:
        return [one]
    today = datetime.strptime(day_of(now_ms, zone), DAY)  # noqa: DTZ007 - a day alone
    return [(today - timedelta(days=back)).strftime(DAY) for back in reversed(range(count))]


async def _rows(bus: Bus, day: str, by: str) -> AsyncIterator[Row]:
    found = _of_users(bus, day) if by == "user" else _of_replicas(bus, day, by)
    tallies: dict[str, Tally] = {}
    async for name, tally in found:
        tallies[name] = tallies.get(name, Tally()) + tally
    for name, tally in sorted(tallies.items(), key=lambda item: (-item[1].tokens, item[0])):
        yield Row(day, name, tally)


async def _of_users(bus: Bus, day: str) -> AsyncIterator[tuple[str, Tally]]:
    start = f"{PREFIX}.{day}.user."
    async for entry in entries(bus, USAGE.stream, f"{start}>"):
        if entry.data:
            user = msgspec.json.decode(entry.data, type=UserDay)
            yield entry.subject.removeprefix(start), user.total


async def _of_replicas(bus: Bus, day: str, by: str) -> AsyncIterator[tuple[str, Tally]]:
    async for entry in entries(bus, USAGE.stream, f"{PREFIX}.{day}.total.>"):
        if entry.data:
            shard = msgspec.json.decode(entry.data, type=Shard)
            for key, tally in shard.lines.items():
                yield getattr(line_of(key), by), tally


def printed(rows: Iterable[Row], *, by: str, currency: str) -> list[str]:
    """Return the lines of a table."""
    rows = list(rows)
    if not rows:
        return ["nothing was used"]
    head = ("DAY", by.upper(), "QUESTIONS", "TOKENS IN", "OUT", f"COST ({currency})")
    cells = [(_dashed(row.day), row.name, *_figures(row.tally)) for row in rows]
    if len(rows) > 1:
        cells.append(("all", "", *_figures(total(row.tally for row in rows))))
    return aligned([head, *cells])


def exported(rows: Iterable[Row], currency: str) -> list[dict[str, object]]:
    """Return rows for machines; the cost is in the currency, not in its millionths."""
    return [
        {
            "day": _dashed(row.day),
            "name": row.name,
            "questions": row.tally.questions,
            "input_tokens": row.tally.input_tokens,
            "output_tokens": row.tally.output_tokens,
            "cost": row.tally.cost_micros / 1e6,
            "currency": currency,
        }
        for row in rows
    ]


def _figures(tally: Tally) -> tuple[str, str, str, str]:
    counts: Callable[[int], str] = "{:,}".format
    return (
        counts(tally.questions),
        counts(tally.input_tokens),
        counts(tally.output_tokens),
        f"{tally.cost_micros / 1e6:,.4f}",
    )


def _dashed(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"
