"""Reads what the users saw and says what went wrong: the oracle of every failure test.

It knows nothing of the system. Each question carries a mark of its own (`#u3-7#`: user 3,
question 7); the fake model repeats the question in its answer, so an answer shows the marks of the
questions it answers.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MARK = re.compile(r"#(\w+)-(\d+)#")


def mark(user: str, number: int) -> str:
    """Return the mark of a user's n-th question."""
    return f"#{user}-{number}#"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the users saw, question by question; all empty means that every promise was kept.

    `refused` are those of the questions that WeChat itself gave up, and told the user so.
    """

    questions: int
    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    swapped: tuple[str, ...] = ()
    crossed: tuple[str, ...] = ()
    apologies: int = 0
    errors: int = 0
    refused: tuple[str, ...] = ()
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled, swapped or shown to a stranger."""
        return not (self.lost or self.doubled or self.swapped or self.crossed)

    def __str__(self) -> str:
        return (
            f"{self.questions} questions: {len(self.lost)} lost {self.lost[:5]}, "
            f"{len(self.doubled)} doubled {self.doubled[:5]}, "
            f"{len(self.swapped)} out of order {self.swapped[:5]}, "
            f"{len(self.crossed)} crossed {self.crossed[:5]}, "
            f"{self.apologies} apologies, {self.errors} platform errors"
        )


def judge(
    asked: Mapping[str, Sequence[str]],
    seen: Mapping[str, Iterable[Mapping[str, Any]]],
    *,
    apology: str,
    accepted: Mapping[str, int] | None = None,
) -> Verdict:
    """Compare the marks that each user asked with the transcript that each user saw.

    Answers have to come in the order in which the questions were asked; with `accepted`, in that
    in which they were accepted.
    """
    lost: list[str] = []
    doubled: list[str] = []
    swapped: list[str] = []
    crossed: list[str] = []
    refused: list[str] = []
    apologies = errors = 0
    for user, marks in asked.items():
        entries = list(seen.get(user, ()))
        replies = [entry["text"] for entry in entries if entry["who"] == "account"]
        found = [match[0] for text in replies for match in MARK.finditer(text)]
        counts = Counter(found)
        sorry = sum(apology in text for text in replies)
        apologies += sorry
        errors += sum(entry["who"] == "platform" for entry in entries)
        given_up = {one.get("in_reply_to") for one in entries if one["who"] == "platform"}
        refused += [
            match[0]
            for entry in entries
            if entry["who"] == "user" and entry.get("msgid") in given_up - {None}
            for match in MARK.finditer(entry["text"])
        ]
        missing = [one for one in marks if not counts[one]]
        lost += missing[sorry:] if sorry else missing
        doubled += [one for one in marks if counts[one] > 1]
        crossed += [one for one in counts if one not in set(marks)]
        first = [one for one in dict.fromkeys(found) if one in set(marks)]
        places = accepted or {one: place for place, one in enumerate(marks)}
        right = sorted(first, key=lambda one: places.get(one, 0))
        swapped += [one for one, due in zip(first, right, strict=True) if one != due]
    return Verdict(
        questions=sum(len(marks) for marks in asked.values()),
        lost=tuple(lost),
        doubled=tuple(doubled),
        swapped=tuple(swapped),
        crossed=tuple(crossed),
        apologies=apologies,
        errors=errors,
        refused=tuple(refused),
    )
