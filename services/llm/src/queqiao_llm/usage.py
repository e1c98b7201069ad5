"""What was used in a day, as the bucket `usage` keeps it. Pure.

Two kinds of documents: one for each user, changed by compare-and-swap, and one for each replica
with the totals it has seen. Totals are summed by whoever reads them, so that no key is hot.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct, structs
from queqiao_common import events

REMEMBERED = 64
"""Turns of a user that are recognised when they are delivered again."""
TOTALS = "*.total.*"
"""The keys of the replicas' documents, as a pattern."""


class Tally(Struct, frozen=True, omit_defaults=True):
    """Questions that models answered, the tokens in and out, and the cost in millionths."""

    questions: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.questions + other.questions,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_micros + other.cost_micros,
        )


class UserDay(Struct, frozen=True, omit_defaults=True):
    """What one user had in a day, of each persona; and the last turns, by what happened to them.

    A question counts when it is let through, so that no ten at once slip past a limit of one; what
    it took counts when it is answered.
    """

    personas: Mapping[str, Tally] = {}
    admitted: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()

    @property
    def total(self) -> Tally:
        """All personas together."""
        return total(self.personas.values())


class Shard(Struct, frozen=True, omit_defaults=True):
    """What one replica saw in a day, by account, persona and model: `main|assistant|qwen`."""

    lines: Mapping[str, Tally] = {}


class Line(NamedTuple):
    """Whose usage it is."""

    account: str
    persona: str
    model: str

    @property
    def key(self) -> str:
        """Its name within a shard; none of the three has a `|`, or it reads as another's."""
        return "|".join(self)


def line_of(key: str) -> Line:
    """Read the name of a line."""
    account, persona, model = (*key.split("|", 2), "", "")[:3]
    return Line(account, persona, model)


def day_of(now_ms: int, zone: ZoneInfo) -> str:
    """Return the calendar day of an instant where the operator lives: `20260101`."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone).strftime("%Y%m%d")


def user_key(day: str, account: str, conv: str) -> str:
    """Return the key of a user's document."""
    return f"{day}.user.{account}.{conv}"


def shard_key(day: str, replica: str) -> str:
    """Return the key of a replica's document."""
    return f"{day}.total.{replica}"


def tally_of(usage: events.Usage | None) -> Tally:
    """Return one answer as it is counted."""
    usage = usage or events.Usage()
    return Tally(1, usage.input_tokens, usage.output_tokens, usage.cost_micros)


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum."""
    return sum(tallies, Tally())


def admitted(day: UserDay | None, turn: str, persona: str) -> UserDay:
    """Count a question that is let through; once, however often it is delivered."""
    day = day or UserDay()
    if turn in day.admitted:
        return day
    return UserDay(
        _with(day.personas, persona, Tally(questions=1)),
        (*day.admitted, turn)[-REMEMBERED:],
        day.settled,
    )


def settled(day: UserDay | None, turn: str, persona: str, taken: Tally) -> UserDay:
    """Count what the answer to a question took; once, too."""
    day = day or UserDay()
    if turn in day.settled:
        return day
    return UserDay(
        _with(day.personas, persona, structs.replace(taken, questions=0)),
        day.admitted,
        (*day.settled, turn)[-REMEMBERED:],
    )


def returned(day: UserDay | None, turn: str, persona: str) -> UserDay:
    """Give a question back that no model could answer."""
    day = day or UserDay()
    if turn not in day.admitted or turn in day.settled:
        return day
    return UserDay(
        _with(day.personas, persona, Tally(questions=-1)),
        tuple(one for one in day.admitted if one != turn),
        day.settled,
    )


def _with(tallies: Mapping[str, Tally], name: str, more: Tally) -> dict[str, Tally]:
    return {**tallies, name: tallies.get(name, Tally()) + more}
