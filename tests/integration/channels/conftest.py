"""One system with an account of every kind that has an API, and two of egress."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import tomlkit
from queqiao_testbed import brokers
from queqiao_testbed.configuration import AES_KEY, SECRET, TOKEN, Options
from queqiao_testbed.system import System, build

CORP = "wwtestbed"
KINDS: dict[str, dict[str, Any]] = {
    "mp": {"kind": "miniprogram", "appid": "wxtestbedmp"},
    # Each app of a corporation has a secret of its own, and by it a token of its own.
    "app": {"kind": "wecom", "appid": CORP, "agent_id": 1000002},
    "kf": {"kind": "wecom_kf", "appid": CORP, "secret": f"{SECRET}-kf"},
    "bot": {"kind": "wecom_bot", "appid": ""},
    "svc": {"kind": "service", "delivery": "active", "appid": "wxtestbedsvc"},
    "auto": {"kind": "service", "delivery": "auto", "appid": "wxtestbedauto"},
}
SIMULATED: dict[str, dict[str, Any]] = {
    "mp": {"mode": "safe", "format": "json"},
    "bot": {"appid": "aib-testbed"},
    "kf": {"agents": [{"account": "zhang", "name": "张"}]},
    "svc": {"mode": "safe"},
    "auto": {"mode": "safe"},
}
SHARED = {"token": TOKEN, "secret": SECRET, "aes_key": AES_KEY}


def rewrite(system: System) -> None:
    """Give services and simulator our accounts; their ports are known only now."""
    api = f"http://127.0.0.1:{system.ports.simulator}"
    ours = [{"id": name, **SHARED, **kind, "api_base": api} for name, kind in KINDS.items()]
    theirs = [
        {
            "id": name,
            **SHARED,
            **{key: value for key, value in kind.items() if key != "delivery"},
            **SIMULATED.get(name, {}),
            "callbacks": [
                f"http://127.0.0.1:{port}/wechat/{name}"
                for port in system.ports.services["ingress"]
            ],
        }
        for name, kind in KINDS.items()
    ]
    for file, accounts in (("queqiao.toml", ours), ("simulator.toml", theirs)):
        path = system.folder / file
        document = tomlkit.parse(path.read_text(encoding="utf-8")).unwrap()
        document["accounts"] = accounts
        path.write_text(tomlkit.dumps(document), encoding="utf-8")


@pytest.fixture(scope="package")
def channels_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[brokers.Broker]:
    """A broker for these tests alone."""
    yield from brokers.started(brokers.make_broker(tmp_path_factory.mktemp("channels-broker")))


@pytest.fixture(scope="package")
async def channels(
    channels_broker: brokers.Broker, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """The running system; users are a test's own."""
    options = Options(
        settings={"moderation": {"messages_per_minute": 0}},
        simulator={"bot": {"poll_every": 0.2}},
        model={"vision": True},
        counts={"egress": 2},
    )
    folder = tmp_path_factory.mktemp("channels")
    system = build(folder, broker_url=channels_broker.url, options=options)
    rewrite(system)
    try:
        await system.start()
        yield system
    finally:
        await system.close()
