"""What to run, in which order, with which environment: values and pure functions, no process."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from queqiao_common.settings import Nats
from queqiao_common.topology import DEFAULT_PORTS

PORTS: Mapping[str, int] = {
    "nats": 4222,
    "monitor": 8222,
    **DEFAULT_PORTS,
    "simulator": 8090,
    "model": 8091,
}
"""Where everything listens, by the name that `--port NAME=PORT` and `QUEQIAO_<NAME>_PORT` use."""

SERVICE_STAGES = (("moderation", "context", "llm", "egress"), ("ingress",))
"""The door opens last and closes first, so that what it let in can still be answered."""

LOOPBACK = "127.0.0.1"


class PlanError(Exception):
    """What was asked for cannot be run, for the reason in the text."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process to run: its command, its additions to the environment, how it shows it is ready.

    `listens` are its ports by the names of `PORTS`; `ready` is an address that answers 200.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    listens: tuple[tuple[str, int], ...] = ()
    ready: str = ""


Stage = tuple[Process, ...]
"""Processes that start together, once every earlier stage is ready; they stop in reverse."""


def read_ports(given: list[str], environment: Callable[[str], str]) -> dict[str, int]:
    """Decide every port: `NAME=PORT` options win over `QUEQIAO_<NAME>_PORT`, these over defaults.

    Raises:
        PlanError: an unknown name, or no port number.
    """
    chosen = {
        name: _number(name, text)
        for name in PORTS
        if (text := environment(f"QUEQIAO_{name.upper()}_PORT"))
    }
    for option in given:
        name, _, number = option.partition("=")
        if name not in PORTS:
            raise PlanError(f"--port {option}: no such name; there are {', '.join(PORTS)}")
        chosen[name] = _number(name, number)
    return {**PORTS, **chosen}


def _number(name: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise PlanError(f"{text!r} is no port number (for {name})")
    return int(text)


def own_broker_port(nats: Nats, *, override: str) -> int | None:
    """Return the port that a broker of ours shall listen on, or None where one runs elsewhere.

    `override` is `QUEQIAO_NATS_URL`: with it no broker is started, and neither is one for an
    address that is not this machine's.
    """
    address = urlsplit(nats.url)
    ours = address.hostname in {LOOPBACK, "localhost", "::1"} and "," not in nats.url
    if override or not ours:
        return None
    return address.port or PORTS["nats"]


def broker_config(*, port: int, monitor: int, store: Path) -> str:
    """Write the configuration of a broker that is this machine's alone.

    Every acknowledged write is on disk (docs/adr/0002): by default it may be minutes away from it.
    """
    return (
        "# Written by queqiao at each start.\n"
        'server_name: "queqiao"\n'
        f'host: "{LOOPBACK}"\n'
        f"port: {port}\n"
        f'http: "{LOOPBACK}:{monitor}"\n'
        f"jetstream {{ store_dir: {json.dumps(str(store))}, sync_interval: always }}\n"
    )


def broker(binary: Path, config: Path, *, port: int, monitor: int) -> Process:
    """Plan the NATS server."""
    return Process(
        name="broker",
        command=(str(binary), "--config", str(config)),
        listens=(("nats", port), ("monitor", monitor)),
        ready=f"http://{LOOPBACK}:{monitor}/healthz?js-enabled-only=true",
    )


def service(name: str, port: int, *, label: str, env: Mapping[str, str]) -> Process:
    """Plan one replica of a service."""
    return Process(
        name=label,
        command=python("-m", f"queqiao_{name}"),
        env={**env, "QUEQIAO_HTTP_PORT": str(port), "PYTHONUNBUFFERED": "1"},
        listens=((name, port),),
        ready=f"http://{LOOPBACK}:{port}/readyz",
    )


def services(
    *, config: Path, nats_url: str, ports: Mapping[str, int], replicas: int = 1, host: str = ""
) -> tuple[Stage, ...]:
    """Plan the five services, `replicas` of each, on consecutive ports.

    `host` is the address they listen on; empty leaves their default.
    """
    env = {"QUEQIAO_CONFIG": str(config), "QUEQIAO_NATS_URL": nats_url}
    if host:
        env["QUEQIAO_HTTP_HOST"] = host
    return tuple(
        tuple(
            service(
                name,
                ports[name] + index,
                label=name if replicas == 1 else f"{name}.{index + 1}",
                env=env,
            )
            for name in names
            for index in range(replicas)
        )
        for names in SERVICE_STAGES
    )


def simulator(config: Path, port: int, *, nats_url: str) -> Process:
    """Plan the stand-in for the WeChat platform; it shows what passes on our broker."""
    return Process(
        name="simulator",
        command=python("-m", "queqiao_simulator", "--config", str(config), "--port", str(port)),
        env={"QUEQIAO_NATS_URL": nats_url, "PYTHONUNBUFFERED": "1"},
        listens=(("simulator", port),),
        ready=f"http://{LOOPBACK}:{port}/control/about",
    )


def model(module: str, port: int) -> Process:
    """Plan a model server of ours: `queqiao_localmodel`, or its fake."""
    return Process(
        name="model",
        command=python("-m", module, "--port", str(port)),
        env={"PYTHONUNBUFFERED": "1"},
        listens=(("model", port),),
        ready=f"http://{LOOPBACK}:{port}/health",
    )


def python(*arguments: str) -> tuple[str, ...]:
    """Return the command of the interpreter that runs this, and of nothing else on the path."""
    return (sys.executable, *arguments)


def every(stages: tuple[Stage, ...]) -> Iterator[Process]:
    """Walk all processes in the order of their start."""
    return (process for stage in stages for process in stage)


def clashes(stages: tuple[Stage, ...]) -> list[str]:
    """Name each port that two processes of one plan want."""
    wanted = [(port, process.name) for process in every(stages) for _, port in process.listens]
    count = Counter(port for port, _ in wanted)
    return [
        f"port {port} is wanted by {' and '.join(name for one, name in wanted if one == port)}"
        for port in sorted(port for port, times in count.items() if times > 1)
    ]
