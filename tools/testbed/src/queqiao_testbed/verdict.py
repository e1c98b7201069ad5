"""Whether a run kept every promise: the rules of the verdict, and nothing else. Pure.

A run fails for what the product did, never for how long it took. What the test bed itself could
not do (start a broker, ask a question, be on time) makes a run inconclusive: it is repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from queqiao_testbed.audit import Findings

EXCUSED = 0.10
"""The share of questions that an apology may stand for."""
SHOWS_WITHIN = 90.0
"""Seconds after a fault within which a doubt or an end that it caused has come to light."""
SENDER_GONE, NO_ANSWER, BAD_ANSWER = "sender_gone", "no_answer", "bad_answer"
"""Why egress is in doubt: its process was killed, WeChat's answer lost, or it was another's."""
LAG = 2.0
"""Seconds that the test bed's loop may be late; beyond it, faults and users were not as planned."""


@dataclass(frozen=True, kw_only=True)
class Happened:
    """A fault that was done, in Unix seconds of the test bed's own clock.

    `doubts` is why egress may not know afterwards what WeChat has shown, by the cause that it logs
    (but for a sender's death: there the one that was killed is known); after one that `ends`, a
    process may have given up by itself.
    """

    kind: str
    target: str
    began: float
    ended: float
    doubts: str = ""
    ends: bool = False

    def explains(self, at: float) -> bool:
        """Whether something seen at this time may come from it."""
        return self.began <= at <= self.ended + SHOWS_WITHIN


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Something that a process did, and when the test bed saw it (Unix seconds).

    Of a doubt: why, and which process of egress made the call.
    """

    what: str
    at: float
    cause: str = ""
    replica: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found in a run, and what was done to it."""

    findings: Findings = field(default_factory=Findings)
    final: frozenset[str] = frozenset()  # the marks that were asked when all was well again
    faults: tuple[Happened, ...] = ()
    doubts: tuple[Seen, ...] = ()  # as egress logged them
    killed: frozenset[str] = frozenset()  # the processes of egress that were, by their own names
    ends: tuple[Seen, ...] = ()  # unasked, or not clean
    late: tuple[str, ...] = ()  # replicas that were not back in time after a restart
    backlog: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    not_ready: tuple[str, ...] = ()
    poison: int = 0
    poison_kept: tuple[str, ...] = ()  # the ids of those that were never buried
    buried: Mapping[str, int] = field(default_factory=dict)  # though no poison
    accidents: tuple[str, ...] = ()
    excused_share: float = EXCUSED
    troubles: tuple[str, ...] = ()  # the test bed's own
    lag: float = 0.0
    took: float = 0.0

    @property
    def problems(self) -> dict[str, object]:
        """Everything that breaks a promise, by name; empty when all were kept."""
        found = self.findings
        checks: dict[str, object] = {
            "lost": found.lost,
            "torn": found.torn,
            "doubled": found.doubled,
            "out of order": found.swapped,
            "parts out of order": found.jumbled,
            "crossed": found.crossed,
            "not answered though all was well again": sorted(self.final & {*found.unanswered}),
            f"excused, of {found.questions}": self._excused_beyond,
            "in doubt without a reason": self.unexplained_doubts,
            "ended without a reason": self._unexplained_ends,
            "not back after a restart": self.late,
            "backlog": self.backlog,
            "not ready": self.not_ready,
            "poison not buried": self.poison_kept,
            "buried, though no poison": dict(self.buried),
            "unforeseen errors": self.accidents,
        }
        return {name: what for name, what in checks.items() if what}

    @property
    def inconclusive(self) -> tuple[str, ...]:
        """Why nothing can be said of the product; empty where something can.

        What was found clean stays clean, however late the test bed was.
        """
        if self.lag > LAG and self.problems:
            return (*self.troubles, f"the test bed was {self.lag:.1f} s late")
        return self.troubles

    @property
    def _excused_beyond(self) -> int:
        found = self.findings
        return found.excused if found.excused > self.excused_share * found.questions else 0

    @property
    def unexplained_doubts(self) -> tuple[str, ...]:
        """What egress was in doubt about without a fault that leaves it in this kind of doubt."""
        return tuple(
            f"{one.what}: {one.cause}" for one in self.doubts if not self._is_explained(one)
        )

    def _is_explained(self, doubt: Seen) -> bool:
        if doubt.cause == SENDER_GONE:
            return doubt.replica in self.killed
        return any(
            fault.doubts == doubt.cause and fault.explains(doubt.at) for fault in self.faults
        )

    @property
    def _unexplained_ends(self) -> tuple[str, ...]:
        return tuple(
            one.what
            for one in self.ends
            if not any(fault.ends and fault.explains(one.at) for fault in self.faults)
        )
