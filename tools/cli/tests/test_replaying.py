"""`queqiao replay`, against a real simulator on loopback."""

import argparse
from pathlib import Path

import httpx
import msgspec
import pytest
from queqiao_cli import replaying
from queqiao_cli.__main__ import parser
from queqiao_common.errors import QueqiaoError
from queqiao_simulator.app import create_app
from queqiao_simulator.recording import Recorded
from queqiao_simulator.server import serving
from queqiao_simulator.settings import AccountSettings, Settings


def options(*argv: str) -> argparse.Namespace:
    return parser().parse_args(["replay", *argv])


def recording(path: Path, *texts: str) -> Path:
    lines = [
        Recorded(
            at=float(number),
            account="main",
            user="小鹊",
            openid="oX",
            kind="service",
            fields={"MsgType": "text", "Content": text},
        )
        for number, text in enumerate(texts)
    ]
    path.write_bytes(b"\n".join(map(msgspec.json.encode, lines)))
    return path


async def test_a_recording_is_said_again_by_the_same_user(tmp_path, capsys):
    account = AccountSettings(id="main", kind="service", appid="wx1", secret="s", token="t0ken")
    file = recording(tmp_path / "day.jsonl", "你好", "在吗")
    async with (
        serving(create_app(Settings(accounts=(account,)))) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        code = await replaying.run(options(str(file), "--speed", "0", "--to", url))
        seen = (await http.get("/control/transcript", params={"account": "main"})).json()

    assert code == 0
    assert "2 pushes played" in capsys.readouterr().out
    assert sorted(entry["text"] for entry in seen if entry["who"] == "user") == ["你好", "在吗"]


async def test_nobody_at_the_address_is_said_and_is_a_failure(tmp_path, capsys):
    file = recording(tmp_path / "day.jsonl", "你好")

    code = await replaying.run(options(str(file), "--to", "http://127.0.0.1:9"))

    assert code == 1
    assert "did not take all of them" in capsys.readouterr().err


@pytest.mark.parametrize("body", [None, b"not a recording"])
async def test_a_file_that_is_no_recording_is_named(tmp_path, body):
    file = tmp_path / "day.jsonl"
    if body is not None:
        file.write_bytes(body)

    with pytest.raises(QueqiaoError, match=r"day\.jsonl"):
        await replaying.run(options(str(file)))


@pytest.mark.parametrize("text", ["fast", "-1", "1e9", "nan"])
def test_a_speed_that_is_none_is_refused_before_anything_is_played(text, capsys):
    with pytest.raises(SystemExit):
        options("day.jsonl", "--speed", text)
