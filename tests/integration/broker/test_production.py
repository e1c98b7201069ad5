"""What `deploy/production` configures is what docs/operations.md promises."""

import contextlib
import subprocess
from pathlib import Path

import httpx
import msgspec
import pytest
from queqiao_common import provision
from queqiao_common.bus import connect
from queqiao_common.settings import Nats, load
from queqiao_common.topology import BUCKETS, STREAMS
from queqiao_testbed.brokers import find_binary, wait_until_ready
from queqiao_testbed.ports import free_ports

FOLDER = Path(__file__).parents[3] / "deploy" / "production"
SECRETS = {
    "QUEQIAO_PEPPER": "pepper",
    "WECHAT_SECRET": "secret",
    "WECHAT_TOKEN": "token1",
    "WECHAT_AES_KEY": "a" * 43,
    "MODEL_KEY": "key",
}
NODES = ("nats-1", "nats-2", "nats-3")


class _Config(msgspec.Struct):
    num_replicas: int


class _Info(msgspec.Struct):
    config: _Config


@pytest.fixture
def config(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return load(FOLDER / "queqiao.toml")


def node(name, folder, ports, routes):
    """Start one broker of this file: only its disk and its addresses are another machine's."""
    client, monitor, cluster = ports
    text = (FOLDER / "nats.conf").read_text()
    own = folder / f"{name}.conf"
    own.write_text(text.replace('"/data"', f'"{folder / name}"'))
    return subprocess.Popen(
        [
            *(find_binary(), "--config", own, "--addr", "127.0.0.1", "--port", str(client)),
            *("--http_port", str(monitor), "--log", folder / f"{name}.log"),
            *("--cluster", f"nats://127.0.0.1:{cluster}", "--routes", routes),
        ],
        env={"NATS_NAME": name},
    )


@pytest.fixture
def cluster(tmp_path):
    free = iter(free_ports(3 * len(NODES)))
    ports = {name: (next(free), next(free), next(free)) for name in NODES}
    routes = ",".join(f"nats://127.0.0.1:{cluster}" for _, _, cluster in ports.values())
    with contextlib.ExitStack() as started:
        for name in NODES:
            process = started.enter_context(node(name, tmp_path, ports[name], routes))
            started.callback(process.terminate)
        for _, monitor, _ in ports.values():
            wait_until_ready(f"http://127.0.0.1:{monitor}")
        yield ports


def test_three_brokers_are_named_and_every_stream_lives_on_all_of_them(config):
    assert len(config.nats.url.split(",")) == config.nats.replicas == 3
    assert [name for name in NODES if f"nats://{name}:4222" in config.nats.url] == list(NODES)
    for name in NODES:
        assert f"nats://{name}:6222" in (FOLDER / "nats.conf").read_text()


@pytest.mark.broker
async def test_three_brokers_of_this_configuration_keep_what_they_acknowledge(config, cluster):
    async with httpx.AsyncClient() as http:
        for _, monitor, _ in cluster.values():
            found = (await http.get(f"http://127.0.0.1:{monitor}/varz")).json()
            assert found["jetstream"]["config"]["sync_always"] is True

    url = ",".join(f"nats://127.0.0.1:{client}" for client, _, _ in cluster.values())
    bus = await connect(Nats(url=url), "test")
    await provision.apply_patiently(bus, replicas=config.nats.replicas, scale=0.001)
    for stream in [one.name for one in STREAMS] + [one.stream for one in BUCKETS]:
        answer = await bus.api(f"STREAM.INFO.{stream}")
        assert msgspec.json.decode(answer, type=_Info).config.num_replicas == 3
    await bus.close()
