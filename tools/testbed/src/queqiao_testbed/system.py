"""The whole system: services in any number of replicas, the simulator, the fake model."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from queqiao_common.topology import SERVICES

from queqiao_testbed.configuration import Options, Ports, service_toml, simulator_toml
from queqiao_testbed.ports import free_ports
from queqiao_testbed.processes import Child

READY_WITHIN = 240.0
"""Seconds until everything works: beside others, on two cores, a start takes long."""


class System:
    """Everything that runs, and what a test does with it."""

    def __init__(
        self, folder: Path, ports: Ports, children: dict[str, list[Child]], *, broker_url: str
    ) -> None:
        self.folder = folder
        self.broker_url = broker_url
        self.ports = ports
        self.children = children
        self._http = httpx.AsyncClient(timeout=30.0, limits=httpx.Limits(max_connections=200))

    # -- processes --------------------------------------------------------------------------

    def replica(self, service: str, number: int = 0) -> Child:
        """Return one replica of a service, `simulator` or `model`."""
        return self.children[service][number]

    def everything(self) -> list[Child]:
        """Return all processes, services last to be started last."""
        return [child for group in self.children.values() for child in group]

    async def start(self, *names: str) -> None:
        """Start these groups (all of them by default) and wait until they are ready."""
        for name in names or self.children:
            for child in self.children[name]:
                child.start()
        await self.ready()

    async def ready(self) -> None:
        """Wait until every replica says that it is ready.

        Raises:
            TimeoutError: naming the one that is not, with the end of its log.
        """
        await asyncio.gather(
            *(
                self._wait_ready(child, port)
                for service, ports in self.ports.services.items()
                for child, port in zip(self.children[service], ports, strict=True)
            ),
            self._wait_ready(self.replica("simulator"), self.ports.simulator, "/control/stats"),
            self._wait_ready(self.replica("model"), self.ports.model, "/health"),
        )

    async def _wait_ready(self, child: Child, port: int, path: str = "/readyz") -> None:
        stop = time.monotonic() + READY_WITHIN
        while time.monotonic() < stop:
            with contextlib.suppress(httpx.TransportError):
                answer = await self._http.get(f"http://127.0.0.1:{port}{path}")
                if answer.is_success:
                    return
            if child.exit_code is not None:
                break
            await asyncio.sleep(0.05)
        tail = child.log.read_text(errors="replace")[-3000:]
        raise TimeoutError(f"{child.name} is not ready (exit code {child.exit_code}):\n{tail}")

    async def is_ready(self, child: Child) -> bool:
        """Whether a replica of a service runs, and says that it is ready."""
        service, _, number = child.name.rpartition("-")
        port = self.ports.services[service][int(number)]
        with contextlib.suppress(httpx.HTTPError):
            answer = await self._http.get(f"http://127.0.0.1:{port}/readyz", timeout=2.0)
            return bool(child.pid) and answer.is_success
        return False

    def log_files(self) -> list[Path]:
        """Return the logs of the five services, one of each replica."""
        return [child.log for service in SERVICES for child in self.children[service]]

    def logs(self) -> str:
        """Return everything that the five services have logged."""
        return "".join(path.read_text(errors="replace") for path in self.log_files())

    # -- the user's side --------------------------------------------------------------------

    async def control(self, method: str, path: str, **options: Any) -> Any:
        """Call the simulator's control API and return its JSON answer."""
        url = f"http://127.0.0.1:{self.ports.simulator}/control{path}"
        answer = await self._http.request(method, url, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def say(self, account: str, user: str, text: str, **fields: Any) -> str:
        """A user writes; returns WeChat's MsgId at once."""
        body = {"account": account, "user": user, "text": text, **fields}
        return str((await self.control("POST", "/messages", json=body))["msgid"])

    async def happen(self, account: str, user: str, event: str, **fields: Any) -> None:
        """A user does something that is not a message (`subscribe`, `CLICK`)."""
        body = {"account": account, "user": user, "event": event, **fields}
        await self.control("POST", "/events", json=body)

    async def transcript(self, account: str, user: str = "") -> list[dict[str, Any]]:
        """Return what users see, in order; of all users of the account where none is named."""
        query = {"account": account} | ({"user": user} if user else {})
        return list(await self.control("GET", "/transcript", params=query))

    async def replies(self, account: str, user: str) -> list[str]:
        """Return the texts that the account has shown to a user, in order."""
        entries = await self.transcript(account, user)
        return [entry["text"] for entry in entries if entry["who"] == "account"]

    # -- the model's side -------------------------------------------------------------------

    async def model(self, method: str, path: str, **options: Any) -> Any:
        """Call the fake model's control API."""
        url = f"http://127.0.0.1:{self.ports.model}{path}"
        answer = await self._http.request(method, url, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def close(self) -> None:
        """End every process, services before what they talk to."""
        await self._http.aclose()
        for child in reversed(self.everything()):
            await asyncio.to_thread(child.stop)


def build(
    folder: Path, *, broker_url: str, replicas: int = 1, options: Options | None = None
) -> System:
    """Write the configuration and describe the processes, without starting any."""
    options = options or Options()
    counts = dict.fromkeys(SERVICES, replicas) | options.counts
    free = free_ports(2 + sum(counts.values()))
    rest = iter(free[2:])
    services = {name: [next(rest) for _ in range(count)] for name, count in counts.items()}
    ports = Ports(simulator=free[0], model=free[1], services=services)
    config, simulator = folder / "queqiao.toml", folder / "simulator.toml"
    config.write_text(service_toml(ports, options, broker_url=broker_url), encoding="utf-8")
    simulator.write_text(simulator_toml(ports, options), encoding="utf-8")
    children = {
        "simulator": [
            Child(
                "simulator",
                ["-m", "queqiao_simulator", "--config", str(simulator), "--port", str(free[0])],
                log=folder / "simulator.log",
            )
        ],
        "model": [
            Child(
                "model",
                ["-m", "queqiao_localmodel.fake", "--port", str(free[1])],
                log=folder / "model.log",
            )
        ],
    }
    for name, own in services.items():
        children[name] = [
            Child(
                f"{name}-{number}",
                ["-m", f"queqiao_{name}"],
                log=folder / f"{name}-{number}.log",
                variables={
                    "QUEQIAO_CONFIG": str(config),
                    "QUEQIAO_NATS_URL": options.broker_urls.get(f"{name}-{number}", broker_url),
                    "QUEQIAO_HTTP_PORT": str(port),
                    "QUEQIAO_HTTP_HOST": "127.0.0.1",
                    **options.variables,
                    **options.own_variables.get(f"{name}-{number}", {}),
                },
            )
            for number, port in enumerate(own)
        ]
    return System(folder, ports, children, broker_url=broker_url)


@contextlib.asynccontextmanager
async def running(
    folder: Path, *, broker_url: str, replicas: int = 1, options: Options | None = None
) -> AsyncIterator[System]:
    """Start the whole system, and end it after its use."""
    system = build(folder, broker_url=broker_url, replicas=replicas, options=options)
    try:
        await system.start()
        yield system
    finally:
        await system.close()
