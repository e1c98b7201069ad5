"""The runner with real, tiny child processes: order, restarts, ends; never how long it took."""

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from queqiao_cli.plan import Process
from queqiao_cli.processes import (
    QUICK_ENDS,
    GiveUp,
    Patience,
    Restart,
    Runner,
    after_end,
    ending,
)
from queqiao_cli.terminal import Terminal
from queqiao_common.testing import eventually

HURRIED = Patience(ready=30.0, stop=30.0, restart=0.01)
STAY = "import time; print('here', flush=True); time.sleep(600)"
POLITE = """
import signal, sys, time
def bye(*_):
    print("bye", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("here", flush=True)
while True:
    time.sleep(600)
"""
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", os.getpid(), flush=True)
while True:
    time.sleep(600)
"""
SERVE = """
import http.server, sys
class Ok(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ok)
print("serving", flush=True)
server.serve_forever()
"""
ONCE = """
import pathlib, sys, time
marker = pathlib.Path(sys.argv[1])
if not marker.exists():
    marker.touch()
    sys.exit("the first time fails")
print("here", flush=True)
time.sleep(600)
"""


def child(name: str, code: str, *arguments: str, ready: str = "") -> Process:
    command = (sys.executable, "-I", "-S", "-c", code, *arguments)
    return Process(name=name, command=command, ready=ready)


class Run:
    """A runner at work, and what it has written."""

    def __init__(self, *stages: tuple[Process, ...], patience: Patience = HURRIED) -> None:
        names = [one.name for stage in stages for one in stage]
        self.stream = io.StringIO()
        terminal = Terminal(names, stream=self.stream, pretty=False, colour=False)
        self.runner = Runner(stages, terminal, patience)
        self.ready = False

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[str]:
        return [line.replace(" ", "") for line in self.text.splitlines()]

    async def until(self, part: str) -> None:
        await eventually(lambda: part in self.text, within=30.0)

    def when_ready(self) -> None:
        self.ready = True

    async def to_the_end(self) -> int:
        return await self.runner.run(self.when_ready)


@asynccontextmanager
async def running(run: Run) -> AsyncIterator[Callable[[], asyncio.Task[int]]]:
    task = asyncio.create_task(run.to_the_end())
    try:
        yield lambda: task
    finally:
        run.runner.stop()
        await task


async def test_each_line_stands_behind_the_name_of_its_process():
    run = Run((child("first", STAY), child("second", STAY)))

    async with running(run):
        await eventually(lambda: run.lines.count("first|here") == 1, within=30.0)
        await eventually(lambda: run.lines.count("second|here") == 1, within=30.0)


async def test_everything_is_stopped_in_reverse_order():
    """The broker must outlive those who still have to publish."""
    run = Run((child("broker", POLITE),), (child("service", POLITE),), (child("door", POLITE),))

    async with running(run) as task:
        await eventually(lambda: run.text.count("here") == 3, within=30.0)
        run.runner.stop()
        code = await task()

    byes = [line.split("|")[0] for line in run.lines if line.endswith("|bye")]
    assert byes == ["door", "service", "broker"]
    assert code == 0
    assert run.ready


async def test_a_stage_waits_until_the_one_before_answers(free_port):
    url = f"http://127.0.0.1:{free_port}/readyz"
    run = Run((child("server", SERVE, str(free_port), ready=url),), (child("next", STAY),))

    async with running(run):
        await run.until("here")

    lines = [line for line in run.lines if "GET" not in line]
    assert lines.index("server|serving") < lines.index("next|here")


async def test_a_process_that_ends_by_itself_is_started_again(tmp_path: Path):
    run = Run((child("worker", ONCE, str(tmp_path / "marker")),))

    async with running(run):
        await run.until("here")

    assert "worker ended with code 1; it starts again in 0.01 s" in run.text
    assert "the first time fails" in run.text


async def test_a_process_that_ends_at_once_every_time_is_given_up_by_name_with_its_last_words(
    tmp_path: Path,
):
    """Restarting it for ever would hide why behind a wall of text."""
    code = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
    code += "sys.exit('no disk')"
    marker = str(tmp_path / "other-is-here")
    other = POLITE.replace("while True", f"open({marker!r}, 'w').close()\nwhile True")
    run = Run((child("other", other),), (child("worker", code, marker),))

    assert await run.to_the_end() == 1

    assert f"worker ended with code 1: it ended {QUICK_ENDS} times in a row" in run.text
    assert "its last lines:\n    no disk" in run.text
    assert run.lines[-1] == "other|bye"


async def test_a_refused_configuration_is_not_tried_again():
    run = Run((child("worker", "import sys; print('accounts: required'); sys.exit(2)"),))

    assert await run.to_the_end() == 1

    assert "it refuses its configuration" in run.text
    assert run.text.count("accounts: required") == 2  # as it came, and in the end


async def test_a_process_that_never_answers_is_named(free_port):
    run = Run(
        (child("server", STAY, ready=f"http://127.0.0.1:{free_port}/readyz"),),
        patience=Patience(ready=0.1, stop=30.0),
    )

    assert await run.to_the_end() == 1

    assert "server was not ready within 0.1 s" in run.text
    assert not run.ready


async def test_a_process_that_will_not_end_is_killed():
    run = Run((child("mule", STUBBORN),), patience=Patience(stop=0.1))

    async with running(run) as task:
        await run.until("here")
        run.runner.stop()
        await task()

    assert "mule did not end within 0.1 s: killed" in run.text
    with pytest.raises(ProcessLookupError):
        os.kill(int(run.text.split("here ")[1].split()[0]), 0)


async def test_asked_twice_it_kills():
    """Whoever presses Ctrl-C again does not want to wait."""
    run = Run((child("mule", STUBBORN),))

    async with running(run) as task:
        await run.until("here")
        run.runner.stop()
        run.runner.stop()
        assert await task() == 0


async def test_asked_while_it_still_starts_it_stops_what_it_has_started(free_port):
    url = f"http://127.0.0.1:{free_port}/readyz"
    run = Run((child("slow", POLITE, ready=url),), (child("never", STAY),))

    async with running(run) as task:
        await run.until("here")
        run.runner.stop()
        assert await task() == 0

    assert "slow|bye" in run.lines
    assert not run.ready
    assert "never|" not in "".join(run.lines)


@pytest.mark.parametrize(
    ("code", "quick_ends", "expected"),
    [
        (1, 0, Restart(0.5)),
        (1, 1, Restart(0.5)),
        (1, 3, Restart(2.0)),
        (-9, 1, Restart(0.5)),
    ],
)
def test_it_starts_again_more_slowly_each_time(code, quick_ends, expected):
    assert after_end(code, quick_ends=quick_ends) == expected


def test_it_gives_up_when_a_repeat_cannot_help():
    assert isinstance(after_end(2, quick_ends=1), GiveUp)
    assert isinstance(after_end(0, quick_ends=QUICK_ENDS), GiveUp)


def test_an_exit_code_is_put_into_words():
    assert ending(3) == "ended with code 3"
    assert ending(-9) == "was killed by SIGKILL"
