"""The command as its user meets it: in a process of its own."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """
[[accounts]]
id = "main"
appid = "wx0123456789abcdef"
token = "${TEST_WX_TOKEN}"
secret = "not-to-be-shown"

[[models]]
id = "m"
base_url = "https://models.example/v1"
model = "some-model"

[routes]
default = ["m"]
"""
BAD = """
[[accounts]]
id = "main"
appid = "wx0123456789abcdef"
tokken = "x"

[routes]
default = ["nobody"]

[context]
max_messages = "ten"
"""


def queqiao(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "queqiao_cli", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "queqiao.toml"
    file.write_text(GOOD)
    return file


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "queqiao.toml"
    file.write_text(BAD)
    return file


def test_a_good_file_is_summarised_without_its_secrets(good):
    done = queqiao("config", "check", str(good), folder=good.parent)

    assert done.returncode == 0, done.stderr
    assert "ok" in done.stdout
    assert "main: service account wx0123456789abcdef, auto delivery" in done.stdout
    assert "m: some-model at https://models.example/v1" in done.stdout
    assert "default: m" in done.stdout
    assert "not-to-be-shown" not in done.stdout


def test_a_secret_that_this_environment_lacks_is_named_with_the_service_that_needs_it(good):
    done = queqiao("config", "check", str(good), folder=good.parent)

    assert "ingress: accounts[main].token: environment variable TEST_WX_TOKEN is not set" in (
        done.stdout
    )


def test_every_problem_of_a_bad_file_is_named_at_once(bad):
    done = queqiao("config", "check", str(bad), folder=bad.parent)

    assert done.returncode == 2
    for path in ("accounts[main].tokken", "accounts[main].token", "context.max_messages"):
        assert path in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_started_with_a_bad_file(bad):
    done = queqiao("up", str(bad), folder=bad.parent)

    assert done.returncode == 2
    assert "context.max_messages" in done.stderr
    assert not (bad.parent / ".queqiao").exists()


def test_nothing_is_started_where_a_port_is_taken(tmp_path):
    file = tmp_path / "queqiao.toml"
    file.write_text(GOOD.replace("${TEST_WX_TOKEN}", "abcdef"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = queqiao("up", str(file), "--port", f"llm={port}", folder=tmp_path)

    assert done.returncode == 1
    assert f"port {port}, for llm, is in use" in done.stderr
    assert "starting" not in done.stdout


def test_a_missing_file_and_an_unreachable_broker_are_one_line_each(tmp_path, free_port):
    missing = queqiao("dead", "list", folder=tmp_path)
    file = tmp_path / "queqiao.toml"
    file.write_text(f'[nats]\nurl = "nats://127.0.0.1:{free_port}"\n')
    unreachable = queqiao("dead", "list", folder=tmp_path)

    assert missing.returncode == 2
    assert "no such file" in missing.stderr
    assert unreachable.returncode == 1
    assert "no broker at" in unreachable.stderr
    assert "Traceback" not in missing.stderr + unreachable.stderr


@pytest.mark.parametrize("call", ["", "fly", "dead", "service kitchen", "up x.toml --replicas 0"])
def test_a_wrong_call_is_refused(call, tmp_path):
    assert queqiao(*call.split(), folder=tmp_path).returncode == 2
