"""The net beneath the broker's timers: what this replica saw begin, and has not seen end.

A timer may be lost (its stream deleted, purged or restored), and so may what was published. Then
nobody would go on until the user writes again. So each replica remembers when the conversations
that it changed should be quiet again, and looks after those that may not be: at best nothing is
done here, at most one read a turn.
"""

from dataclasses import dataclass

PATIENCE_MS = 15_000
"""How long after its end something in flight is looked for: its own timer comes first."""
AGAIN_MS = 60_000
TIMES = 5
"""How often; all within the time in which the streams still recognise a repeat."""
LIMIT = 50_000


@dataclass(frozen=True, slots=True)
class Check:
    """When to look at a conversation, and how often that was in vain."""

    at_ms: int
    times: int = 0


class Watch:
    """The conversations that have something in flight, as far as this replica knows."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def note(self, key: str, due_ms: int | None) -> None:
        """Remember when a conversation should be quiet; None: it is."""
        if due_ms is None:
            self._checks.pop(key, None)
        elif key in self._checks or len(self._checks) < LIMIT:
            self._checks[key] = Check(due_ms + PATIENCE_MS)

    def take(self, now_ms: int) -> list[str]:
        """Return the conversations to look at now; each comes again a minute later, five times."""
        due = [key for key, check in self._checks.items() if check.at_ms <= now_ms]
        for key in due:
            times = self._checks[key].times + 1
            if times < TIMES:
                self._checks[key] = Check(now_ms + AGAIN_MS, times)
            else:
                del self._checks[key]
        return due
