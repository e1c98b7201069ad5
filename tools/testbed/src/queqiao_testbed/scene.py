"""What the faults of a chaos run act on, and who cleans up behind them."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from queqiao_common.bus import Bus
from queqiao_common.topology import SERVICES

from queqiao_testbed.brokers import ProcessBroker
from queqiao_testbed.clocks import Clock
from queqiao_testbed.load import Load
from queqiao_testbed.processes import Child
from queqiao_testbed.proxy import Proxy
from queqiao_testbed.system import System

LOOK = 0.2
SOON = 30.0
"""Seconds within which a replica that was told to stop has to be gone."""

Rule = dict[str, Any]


@dataclass
class Scene:
    """The whole system under attack; `exits` counts the ends that nobody asked for."""

    system: System
    nodes: Sequence[ProcessBroker]
    bus: Bus
    proxies: Mapping[str, Proxy]
    clocks: Mapping[str, Clock]
    load: Load
    exits: Counter[str] = field(default_factory=Counter)
    unclean: list[str] = field(default_factory=list)
    poison: int = 0
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

    def release(self, *children: Child) -> None:
        """Let the supervisor start these replicas again."""
        self._down -= {child.name for child in children}

    @contextlib.asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        """Start replicas again that have ended, as an orchestrator does."""
        watching = asyncio.create_task(self._supervise())
        try:
            yield
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

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
            self.exits[f"{child.name} ({child.exit_code})"] += 1
        child.start()

    async def until_back(self, name: str) -> bool:
        """Wait until a replica works again; False when it does not in time."""
        (child,) = self.replicas(name)
        stop = asyncio.get_running_loop().time() + SOON
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

    async def metric(self, service: str, name: str) -> float:
        """Return the sum of a counter over the replicas that answer."""
        total = 0.0
        async with httpx.AsyncClient(timeout=5.0) as http:
            for port in self.system.ports.services[service]:
                with contextlib.suppress(httpx.HTTPError):
                    answer = await http.get(f"http://127.0.0.1:{port}/metrics")
                    total += sum(
                        float(line.rsplit(" ", 1)[1])
                        for line in answer.text.splitlines()
                        if line.startswith((f"{name}{{", f"{name} "))
                    )
        return total
