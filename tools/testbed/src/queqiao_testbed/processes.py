"""One child process with a log of its own, to be started, killed, paused and started again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ENDED_WITHIN = 60.0
"""Seconds: longer than any service takes to stop, the time of its open door included."""


class Child:
    """`python -m <module>` with a log file and some variables of its own."""

    def __init__(
        self, name: str, argv: list[str], *, log: Path, variables: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self._argv = [sys.executable, *argv]
        self._variables = variables or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 where it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs or before it was started."""
        return self._process.poll() if self._process else None

    def start(self, **variables: str) -> None:
        """Start it, with `variables` for this one run; its output is added to the log."""
        environ = {**os.environ, **self._variables, **variables}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own modules
                self._argv, stdout=log, stderr=log, env=environ
            )

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nobody is told."""
        self._signal(signal.SIGKILL)
        self.wait()

    def terminate(self) -> None:
        """SIGTERM, a planned stop: it lets others know, and finishes what it has in hand."""
        self._signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """SIGINT, a stop at once: it finishes what it has in hand."""
        self._signal(signal.SIGINT)

    def pause(self) -> None:
        """SIGSTOP: it hears nothing until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def wait(self, timeout: float = ENDED_WITHIN) -> int:
        """Wait for its end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs after `timeout` seconds.
        """
        return self._process.wait(timeout) if self._process else 0

    def stop(self) -> None:
        """End it, gently at first; nobody is to take its place."""
        if not self.pid:
            return
        self.resume()
        self.interrupt()
        try:
            self.wait(ENDED_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)
