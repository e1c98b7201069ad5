"""The whole demonstration, started and stopped as its user does it."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from queqiao_cli.plan import PORTS
from queqiao_cli.ports import is_free
from queqiao_cli.processes import answers
from queqiao_common.testing import eventually


@pytest.mark.broker
@pytest.mark.slow
async def test_a_demonstration_starts_shows_its_page_and_leaves_nothing_behind(
    tmp_path: Path, free_ports, monkeypatch
):
    """`make run` is the first thing that anybody tries."""
    monkeypatch.setenv("OPENAI_API_KEY", "unused")  # so that no local model has to be had
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    options = [part for name, port in ports.items() for part in ("--port", f"{name}={port}")]
    log = tmp_path / "log"

    with log.open("wb") as output:
        demo = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "queqiao_cli", "demo", *options,
            cwd=tmp_path, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        await eventually(
            lambda: "Ctrl-C" in log.read_text() or demo.returncode is not None, within=90
        )
        assert demo.returncode is None, log.read_text()
        assert answers(f"http://127.0.0.1:{ports['simulator']}/")
    finally:
        demo.send_signal(signal.SIGINT)
        code = await demo.wait()

    assert code == 0
    assert "everything is stopped" in log.read_text()
    assert all(is_free(port) for port in ports.values())
