"""Run the processes of a plan in the foreground: start in order, restart, stop in reverse.

Published Procfile runners were looked at: they start everything at once, know no readiness, and
end all when one ends. Each child has a session of its own, so that Ctrl-C reaches us alone and the
children are stopped in order.
"""

import asyncio
import contextlib
import http.client
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from queqiao_cli.plan import Process, Stage
from queqiao_cli.terminal import Terminal

INSTANT = 5.0
"""Seconds: a child that ends sooner has not really run."""
QUICK_ENDS = 5
REFUSED = 2
"""The exit code of a wrong configuration or command line: a repeat cannot help."""
TAIL = 15
MAX_LINE = 64 * 1024
POLL = 0.1


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the runner waits, in seconds."""

    ready: float = 60.0
    stop: float = 45.0  # beyond `queqiao_common.runtime.STOP_WITHIN`
    restart: float = 0.5  # doubled with every quick end


@dataclass(frozen=True)
class Restart:
    """Start the child again after `delay` seconds."""

    delay: float


@dataclass(frozen=True)
class GiveUp:
    """Start it no more, for `reason`."""

    reason: str


def after_end(code: int, *, quick_ends: int, restart: float = 0.5) -> Restart | GiveUp:
    """Decide what follows the end of a child that nobody stopped.

    `quick_ends` counts how often in a row it ended within `INSTANT` seconds, this time included.
    """
    if code == REFUSED:
        return GiveUp("it refuses its configuration")
    if quick_ends >= QUICK_ENDS:
        return GiveUp(f"it ended {quick_ends} times in a row within {INSTANT:g} s of its start")
    return Restart(restart * 2.0 ** max(0, quick_ends - 1))


def ending(code: int) -> str:
    """Put an exit code into words."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


class RunError(Exception):
    """A child cannot be kept running, for the reason in the text."""


class Lines:
    """Cuts a stream of bytes into lines; one that never ends is cut at 64 KiB."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """Return the lines that are complete now; an empty chunk ends the last one."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if self._rest and (not chunk or len(self._rest) > MAX_LINE):
            lines.append(self._rest)
            self._rest = b""
        return [line.decode(errors="replace").rstrip("\r") for line in lines]


class Child:
    """One process of the plan, kept running until it is stopped."""

    def __init__(self, process: Process, terminal: Terminal, patience: Patience) -> None:
        self.process = process
        self._terminal = terminal
        self._patience = patience
        self._running: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._is_ready = False
        self._tail: deque[str] = deque(maxlen=TAIL)

    async def keep_running(self) -> None:
        """Start the process, and again whenever it ends by itself, until `stop`.

        Raises:
            RunError: a repeat cannot help; with the last lines that it wrote.
        """
        quick_ends = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._run_once()
            self._is_ready = False
            if self._stopping.is_set():
                return
            quick_ends = quick_ends + 1 if time.monotonic() - began < INSTANT else 0
            match after_end(code, quick_ends=quick_ends, restart=self._patience.restart):
                case GiveUp(reason):
                    raise RunError(self._obituary(f"{ending(code)}: {reason}"))
                case Restart(delay):
                    self._say(f"{ending(code)}; it starts again in {delay:g} s", alarm=True)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), delay)

    async def wait_until_ready(self) -> None:
        """Return once the process answers.

        Raises:
            RunError: it did not in time.
        """
        if not self.process.ready:
            return
        stop = time.monotonic() + self._patience.ready
        while not await asyncio.to_thread(answers, self.process.ready):
            if time.monotonic() > stop:
                raise RunError(self._obituary(f"was not ready within {self._patience.ready:g} s"))
            await asyncio.sleep(POLL)
        self._is_ready = True

    def stop(self) -> None:
        """Ask the process to end, and start it no more.

        All end together, so none has to let others know first: that is what SIGINT says to a
        service. To a process that does not listen yet it would be a traceback.
        """
        self._stopping.set()
        self._signal(signal.SIGINT if self._is_ready else signal.SIGTERM)

    def kill(self) -> None:
        """End the process and whatever it has started."""
        self._stopping.set()
        self._signal(signal.SIGKILL)

    async def _run_once(self) -> int:
        self._running = await asyncio.create_subprocess_exec(
            *self.process.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self.process.env},  # children inherit all of it
            start_new_session=True,
        )
        if self._stopping.is_set():  # it was asked to while the process was being made
            self._signal(signal.SIGTERM)
        reading = asyncio.create_task(self._read(self._running))
        try:
            code = await self._running.wait()
            await asyncio.wait([reading], timeout=1.0)  # a grandchild may hold the pipe open
        finally:
            reading.cancel()
        return code

    async def _read(self, running: asyncio.subprocess.Process) -> None:
        if running.stdout is None:
            raise AssertionError("its output is a pipe")
        lines = Lines()
        while chunk := await running.stdout.read(MAX_LINE):
            self._show(lines.feed(chunk))
        self._show(lines.feed(b""))

    def _show(self, lines: list[str]) -> None:
        for line in lines:
            self._tail.append(line)
            self._terminal.show(self.process.name, line)

    def _signal(self, number: signal.Signals) -> None:
        if self._running is None or self._running.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(self._running.pid, number)
            else:
                self._running.send_signal(number)

    def _say(self, text: str, *, alarm: bool = False) -> None:
        self._terminal.note(f"{self.process.name} {text}", alarm=alarm)

    def _obituary(self, text: str) -> str:
        """Name the process, what became of it, and the last of what it wrote."""
        head = f"{self.process.name} {text}"
        if not self._tail:
            return f"{head}; it wrote nothing"
        return "\n".join([f"{head}; its last lines:", *(f"    {line}" for line in self._tail)])


def answers(url: str) -> bool:
    """Whether an address of this machine answers 200."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2.0)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Runner:
    """Runs all stages of a plan until it is told to stop, or a child cannot be kept running."""

    def __init__(
        self, stages: tuple[Stage, ...], terminal: Terminal, patience: Patience | None = None
    ) -> None:
        self._patience = patience or Patience()
        self._terminal = terminal
        self._stages = [
            [Child(process, terminal, self._patience) for process in stage] for stage in stages
        ]
        self._tasks: dict[Child, asyncio.Task[None]] = {}
        self._asked = 0
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Stop everything in order; asked a second time, kill it."""
        self._asked += 1
        self._stop.set()
        if self._asked > 1:
            for child in self._tasks:
                child.kill()

    async def run(self, when_ready: Callable[[], None]) -> int:
        """Start all, stay until the end, stop all; returns the exit code.

        `when_ready` is called once everything answers.
        """
        stopping = asyncio.create_task(self._stop.wait())
        try:
            for stage in self._stages:
                if not await self._start(stage, stopping):
                    return 0
            when_ready()
            await self._until_one_ends(stopping)
        except RunError as error:
            self._terminal.note(str(error), alarm=True)
            return 1
        finally:
            stopping.cancel()
            await self._stop_all()
        return 0

    async def _start(self, stage: list[Child], stopping: asyncio.Task[bool]) -> bool:
        """Start the children of a stage and wait for them; False: told to stop meanwhile."""
        self._tasks |= {child: asyncio.create_task(child.keep_running()) for child in stage}
        ready = asyncio.ensure_future(asyncio.gather(*(one.wait_until_ready() for one in stage)))
        try:
            await self._until_one_ends(ready, stopping)
        finally:
            ready.cancel()
            with contextlib.suppress(asyncio.CancelledError, RunError):
                await ready
        return not stopping.done()

    async def _until_one_ends(self, *others: "asyncio.Future[Any]") -> None:
        """Wait for one of the others.

        Raises:
            RunError: a child was given up first, or is not ready in time.
        """
        watched: set[asyncio.Future[Any]] = {*others, *self._tasks.values()}
        done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _stop_all(self) -> None:
        for stage in reversed(self._stages):
            tasks = {child: self._tasks[child] for child in stage if child in self._tasks}
            if not tasks:
                continue
            running = [child for child, task in tasks.items() if not task.done()]
            if running:
                self._terminal.note("stopping " + ", ".join(one.process.name for one in running))
            for child in running:
                child.stop()
            await self._ended(tasks)

    async def _ended(self, tasks: dict[Child, "asyncio.Task[None]"]) -> None:
        """Wait for the end of children that were asked to; kill those that take too long."""
        await asyncio.wait(tasks.values(), timeout=self._patience.stop)
        for child, task in tasks.items():
            if not task.done():
                self._terminal.note(
                    f"{child.process.name} did not end within {self._patience.stop:g} s: killed",
                    alarm=True,
                )
                child.kill()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def run_in_foreground(
    stages: tuple[Stage, ...], terminal: Terminal, when_ready: Callable[[], None]
) -> int:
    """Run a plan until Ctrl-C, SIGTERM or a closed terminal; returns the exit code."""
    runner = Runner(stages, terminal)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, runner.stop)
    code = await runner.run(when_ready)
    if code == 0:
        terminal.note("everything is stopped")
    return code
