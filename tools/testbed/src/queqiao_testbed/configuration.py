"""The configuration of a test system: four accounts, one model, everything on loopback."""

from dataclasses import dataclass, field
from typing import Any

import tomlkit

TOKEN = "testbed_token"  # noqa: S105 - signs callbacks between two processes of a test
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
KEYS = {"aes_key": AES_KEY, "previous_aes_key": "Z" + AES_KEY[1:]}
"""Those of accounts in safe mode, as while they are being changed."""
SECRET = "testbed-app-secret"  # noqa: S105 - as above
MODEL_KEY = "testbed-model-key"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where everything listens."""

    simulator: int
    model: int
    services: dict[str, list[int]]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a test wants to be different; nested tables are merged into the configuration."""

    passive_window: float = 4.5
    settings: dict[str, Any] = field(default_factory=dict)
    simulator: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    """What is different about the one model, the fake one."""
    models: tuple[dict[str, Any], ...] = ()
    """Further models of the route; the fake one answers for those that name no address."""
    variables: dict[str, str] = field(default_factory=dict)
    api_base: str = ""
    """Where the WeChat API is; empty: at the simulator."""
    counts: dict[str, int] = field(default_factory=dict)
    """Replicas of single services, where they differ from the common number."""
    own_variables: dict[str, dict[str, str]] = field(default_factory=dict)
    """By replica (`egress-1`): variables of its own."""
    broker_urls: dict[str, str] = field(default_factory=dict)
    """By replica (`egress-1`): the way to the broker of those that do not take the common one."""


ACCOUNTS = (
    {"id": "auto", "kind": "service", "delivery": "auto", "safe": True},
    {"id": "active", "kind": "service", "delivery": "active", "safe": False},
    {"id": "sub", "kind": "subscription", "delivery": "passive", "safe": True},
    {"id": "plain", "kind": "service", "delivery": "auto", "safe": False},
)


def service_toml(ports: Ports, options: Options, *, broker_url: str) -> str:
    """Return the services' configuration file."""
    api = options.api_base or f"http://127.0.0.1:{ports.simulator}"
    accounts = [
        {
            "id": account["id"],
            "kind": account["kind"],
            "delivery": account["delivery"],
            "appid": f"wxtestbed{account['id']}",
            "token": TOKEN,
            "secret": SECRET,
            "api_base": api,
            "passive_window": options.passive_window,
        }
        | (KEYS if account["safe"] else {})
        for account in ACCOUNTS
    ]
    fake = {
        "id": "main",
        "base_url": f"http://127.0.0.1:{ports.model}/v1",
        "model": "fake",
        "api_key": MODEL_KEY,
        "first_token_timeout": 25.0,
        "timeout": 40.0,
    }
    models = [fake | options.model, *(fake | model for model in options.models)]
    table: dict[str, Any] = {
        "nats": {"url": broker_url},
        "accounts": accounts,
        "models": models,
        "routes": {"default": [model["id"] for model in models]},
    }
    return tomlkit.dumps(_merged(table, options.settings))


def simulator_toml(ports: Ports, options: Options) -> str:
    """Return the simulator's configuration file."""
    accounts = [
        {
            "id": account["id"],
            "name": account["id"],
            "kind": account["kind"],
            "appid": f"wxtestbed{account['id']}",
            "token": TOKEN,
            "secret": SECRET,
            "mode": "safe" if account["safe"] else "plain",
            "callbacks": [
                f"http://127.0.0.1:{port}/wechat/{account['id']}"
                for port in ports.services["ingress"]
            ],
        }
        | (KEYS if account["safe"] else {})
        for account in ACCOUNTS
    ]
    # A 503 is not answered by three deliveries in one breath, or no broker could restart in time.
    base = {"users": [], "accounts": accounts, "push": {"server_error_pause": 1.0}}
    return tomlkit.dumps(_merged(base, options.simulator))


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(value, dict) and isinstance(old, dict)
        result[key] = _merged(old, value) if both and old is not None else value
    return result
