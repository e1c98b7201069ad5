"""What the faults of a chaos run act on, and who cleans up behind them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from queqiao_common.bus import Bus
from queqiao_common.topology import SERVICES

from queqiao_testbed.balancer import balanced
from queqiao_testbed.brokers import ProcessBroker
from queqiao_testbed.clocks import Clock
from queqiao_testbed.journal import Logs
from queqiao_testbed.load import Load
from queqiao_testbed.network import Way
from queqiao_testbed.processes import ENDED_WITHIN, Child
from queqiao_testbed.system import READY_WITHIN, System
from queqiao_testbed.verdict import Happened, Seen

LOOK = 0.2
SOON = ENDED_WITHIN
"""Seconds within which a replica that was told to stop has to be gone."""

Rule = dict[str, Any]


@dataclass
class Scene:
    """The whole system under attack, and what has been seen of it.

    `ends` are those that nobody asked for, or that were not clean; `late` the replicas that were
    not back in time after a restart; `killed` the processes of egress that were, by the names that
    they give themselves; `poison` the ids of unreadable events, by where they are stored;
    `troubles` what the test bed itself could not do.
    """

    system: System
    nodes: Sequence[ProcessBroker]
    bus: Bus
    ways: Mapping[str, Way]
    clocks: Mapping[str, Clock]
    load: Load
    logs: Logs
    faults: list[Happened] = field(default_factory=list)
    ends: list[Seen] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    killed: set[str] = field(default_factory=set)
    poison: dict[tuple[str, int], str] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    lag: float = 0.0
    _down: set[str] = field(default_factory=set)
    _asked: set[str] = field(default_factory=set)
    _rules: dict[object, list[Rule]] = field(default_factory=dict)

    @property
    def broker(self) -> ProcessBroker:
        """The one broker, or the first of a cluster."""
        return self.nodes[0]

    def replicas(self, target: str) -> list[Child]:
        """Return the processes that a target names: a replica, or all of a service."""
        if target in SERVICES:
            return self.system.children[target]
        service, _, number = target.rpartition("-")
        return [self.system.replica(service, int(number))]

    def hold(self, child: Child) -> None:
        """Keep a replica from being started again."""
        self._down.add(child.name)
        self._asked.add(child.name)

    def was_killed(self, child: Child) -> None:
        """Note which process it was, while it is not started again."""
        self.logs.read()
        if child.name in self.logs.replicas:
            self.killed.add(self.logs.replicas[child.name])

    def release(self, *children: Child) -> None:
        """Let the supervisor start these replicas again."""
        self._down -= {child.name for child in children}

    @contextlib.asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        """Start replicas again that have ended, and keep callbacks from those that are not ready.

        That is what an orchestrator does, with its load balancer. Their logs are read meanwhile.
        """
        watching = [asyncio.create_task(work()) for work in (self._supervise, self._listen)]
        try:
            async with balanced(self.system):
                yield
        finally:
            for task in watching:
                task.cancel()
            for task in watching:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    @contextlib.contextmanager
    def happening(
        self, kind: str, target: str, *, doubts: str = "", ends: bool = False
    ) -> Iterator[None]:
        """Record that something is done to the system while the context is open."""
        began = time.time()
        try:
            yield
        finally:
            fault = Happened(
                kind=kind, target=target, began=began, ended=time.time(), doubts=doubts, ends=ends
            )
            self.faults.append(fault)

    def ended(self, what: str) -> None:
        """Record an end that should not have been."""
        self.ends.append(Seen(what=what, at=time.time()))

    async def clocked(self) -> None:
        """Note how late this loop is, at the worst, until cancelled."""
        while True:
            due = time.monotonic() + LOOK
            await asyncio.sleep(LOOK)
            self.lag = max(self.lag, time.monotonic() - due)

    async def _listen(self) -> None:
        while True:
            self.logs.read()
            await asyncio.sleep(1.0)

    async def _supervise(self) -> None:
        while True:
            for service in SERVICES:
                for child in self.system.children[service]:
                    if child.exit_code is not None and child.name not in self._down:
                        self._start_again(child)
            await asyncio.sleep(LOOK)

    def _start_again(self, child: Child) -> None:
        if child.name in self._asked:
            self._asked.discard(child.name)
        else:
            self.ended(f"{child.name} ended unasked ({child.exit_code})")
        child.start()

    async def until_back(self, name: str) -> bool:
        """Wait until a replica works again; False when it does not in time."""
        (child,) = self.replicas(name)
        stop = asyncio.get_running_loop().time() + READY_WITHIN
        while asyncio.get_running_loop().time() < stop:
            if await self.system.is_ready(child):
                return True
            await asyncio.sleep(LOOK)
        return False

    @contextlib.asynccontextmanager
    async def wechat(self, *rules: Rule) -> AsyncIterator[None]:
        """Have the simulator misbehave by these rules, beside those in force."""
        key = object()
        self._rules[key] = list(rules)
        await self._tell()
        try:
            yield
        finally:
            del self._rules[key]
            await self._tell()

    async def _tell(self) -> None:
        rules = [rule for some in self._rules.values() for rule in some]
        await self.system.control("PUT", "/faults", json=rules)

    @contextlib.asynccontextmanager
    async def model(self, **control: Any) -> AsyncIterator[None]:
        """Have the fake model answer as `control` says."""
        await self.system.model("PUT", "/control", json=control)
        try:
            yield
        finally:
            await self.system.model("PUT", "/control", json={})
