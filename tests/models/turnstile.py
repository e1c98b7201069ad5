"""Time that stands still, and handlers that stop before everything that others could notice.

Real handlers run on a real event loop whose clock is moved by hand. Before each read, write,
publication and call they wait at a gate; what is opened next decides how they interleave.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Literal, TypeVarTuple

Ts = TypeVarTuple("Ts")

Fate = Literal["on", "lost", "unknown", "down"]
"""What becomes of a step: it is taken; taken, but its acknowledgement is repeated; taken, though
nobody hears of it; not taken."""


class Killed(BaseException):
    """The process is gone, at once."""


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock only moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self._calls = 0
        super().__init__()

    def time(self) -> float:
        return self.seconds

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        self._calls += 1
        return super().call_soon(callback, *args, context=context)

    def settle(self) -> None:
        """Run until everybody waits, for a gate or for the clock."""
        self.run_until_complete(self._until_quiet())

    async def _until_quiet(self) -> None:
        quiet = 0
        while quiet < 3:
            before = self._calls
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._calls == before + 1 else 0

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.settle()


class Process:
    """One replica: what runs in it ends with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.tasks: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return self.name

    def spawn(self, work: Any) -> None:
        """Run something in this process."""
        self.tasks.add(self.started(work))

    def started(self, work: Any) -> asyncio.Task[Any]:
        """Run something in this process that somebody waits for."""
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def kill(self) -> None:
        self.is_dead = True
        for task in tuple(self.tasks):
            task.cancel()


@dataclass(eq=False)
class Gate:
    """Somebody who waits to take a step; `fates` are what may become of it."""

    process: Process
    step: str
    fates: tuple[Fate, ...]
    opened: asyncio.Future[tuple[Fate, int]]


class Turnstile:
    """All gates that somebody waits at, in the order of arrival."""

    def __init__(self) -> None:
        self.waiting: list[Gate] = []
        self.log: list[str] = []

    async def passing(self, process: Process, step: str, *fates: Fate) -> tuple[Fate, int]:
        """Wait to take a step; returns its fate, and a number that was drawn for it."""
        if process.is_dead:
            raise Killed
        future: asyncio.Future[tuple[Fate, int]] = asyncio.get_running_loop().create_future()
        gate = Gate(process, step, ("on", *fates), future)
        self.waiting.append(gate)
        try:
            return await future
        finally:
            self.waiting.remove(gate)

    def open(self, gate: Gate, fate: Fate = "on", pick: int = 0) -> None:
        fate = fate if fate in gate.fates else "on"
        self.log.append(f"{gate.process}: {gate.step}{'' if fate == 'on' else f' [{fate}]'}")
        gate.opened.set_result((fate, pick))
