"""What goes wrong, and when: drawn from a seed alone, so that a run can be repeated. Pure."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from queqiao_common.topology import SERVICES

BROKER = "broker"
AT_ONCE = 4
"""How many faults may be under way together."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of fault: whom it may hit, and how long it lasts (seconds).

    For `rest` seconds after it, its target is left alone: what was killed has to start first.
    """

    targets: tuple[str, ...]
    shortest: float
    longest: float
    rest: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One fault: `at` and `seconds` count in seconds, from the beginning of the load."""

    at: float
    kind: str
    target: str
    seconds: float
    seed: int
    rest: float = 1.0

    @property
    def end(self) -> float:
        """When it is over."""
        return self.at + self.seconds

    def __str__(self) -> str:
        return f"{self.at:6.1f} s  {self.kind} of {self.target} for {self.seconds:.1f} s"


def parts(target: str, replicas: int) -> frozenset[str]:
    """Return what a target consists of: a service is all its replicas."""
    if target in SERVICES:
        return frozenset(f"{target}-{number}" for number in range(replicas))
    return frozenset({target})


def service_of(target: str) -> str:
    """Return the service that a target is, or is a replica of; other targets are themselves."""
    return target.rpartition("-")[0] or target


def draw(
    kinds: Mapping[str, Kind], *, seed: int, count: int, seconds: float, replicas: int = 2
) -> tuple[Planned, ...]:
    """Draw `count` faults for a run of `seconds`, each kind as often as any other.

    A kind goes round the services: it hits the one that it has hit least, where that is free.
    Nothing is hit by two faults at the same time; a fault that finds no free target is drawn again.
    """
    dice = random.Random(seed)
    plan: list[Planned] = []
    for number, kind in zip(range(count), _bag(sorted(kinds), dice), strict=False):
        at = seconds * (number + dice.random()) / count
        plan.append(_placed(kind, kinds[kind], at, plan, dice, replicas))
    return tuple(sorted(plan, key=lambda one: one.at))


def _bag(names: Sequence[str], dice: random.Random) -> Iterator[str]:
    """Yield names without end, each one once before any comes again."""
    while True:
        yield from dice.sample(names, len(names))


def _placed(
    name: str,
    kind: Kind,
    at: float,
    plan: Sequence[Planned],
    dice: random.Random,
    replicas: int,
) -> Planned:
    """Place a fault at `at`, or as soon after it as a target of its kind is free."""
    lasts = dice.uniform(kind.shortest, kind.longest)
    hit = Counter(service_of(other.target) for other in plan if other.kind == name)
    targets = dice.sample(kind.targets, len(kind.targets))
    targets.sort(key=lambda target: hit[service_of(target)])
    while True:
        for target in targets:
            one = Planned(
                at=round(at, 2),
                kind=name,
                target=target,
                seconds=round(lasts, 2),
                seed=dice.randrange(1 << 30),
                rest=kind.rest,
            )
            if _is_free(one, plan, replicas):
                return one
        at += 0.5


def _is_free(one: Planned, plan: Sequence[Planned], replicas: int) -> bool:
    beside = [
        other for other in plan if other.at < one.end + one.rest and one.at < other.end + other.rest
    ]
    taken = frozenset().union(*(parts(other.target, replicas) for other in beside))
    return len(beside) < AT_ONCE and not taken & parts(one.target, replicas)
