"""The command: what it reads, what it writes, and that it ends."""

import asyncio
import sys
from contextlib import asynccontextmanager

import httpx
import pytest
from queqiao_simulator import faults, replay, settings
from queqiao_simulator.__main__ import read_or_exit

CONFIG = """
[[accounts]]
id = "main"
appid = "wx1"
token = "bridge"

[push]
deliveries = 1
"""
FAULTS = '[[faults]]\nkind = "unknown_fields"\n'


@asynccontextmanager
async def running(*arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "queqiao_simulator", "--port", "0", *map(str, arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), 20)


async def test_faults_and_a_recording_are_files(tmp_path):
    config, rules, recording = (tmp_path / name for name in ("s.toml", "f.toml", "r.jsonl"))
    config.write_text(CONFIG)
    rules.write_text(FAULTS)

    async with running("--config", config, "--faults", rules, "--record", recording) as process:
        ready = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        async with httpx.AsyncClient(base_url=ready.split()[-1]) as http:
            await http.post("/control/reset")
            in_force = (await http.get("/control/faults")).json()
            body = {"account": "main", "user": "小鹊", "text": "记下来"}
            await http.post("/control/messages", json=body)
            await http.post("/control/settle", json={"timeout": 10})

    [push] = replay.read(recording)
    assert [rule["kind"] for rule in in_force] == ["unknown_fields"]
    assert (push.user, push.fields["Content"]) == ("小鹊", "记下来")


@pytest.mark.parametrize("reader", [settings.read, faults.read])
def test_a_wrong_file_ends_the_command_with_its_name(tmp_path, reader):
    file = tmp_path / "wrong.toml"
    file.write_text("[[fault]]")

    with pytest.raises(SystemExit, match=r"wrong\.toml: "):
        read_or_exit(file, reader)


def test_what_the_command_reads_is_what_the_control_api_takes(tmp_path):
    file = tmp_path / "f.toml"
    file.write_text(FAULTS)

    assert faults.read(file) == faults.decode(FAULTS.encode())
