"""A broker of the tests' own: started as `queqiao up` starts it."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from queqiao_cli.plan import PlanError, broker, broker_config
from queqiao_cli.processes import answers
from queqiao_cli.running import find_broker


def any_ports(count: int) -> list[int]:
    """Find free ports, all different: each is held until the last one is found."""
    with contextlib.ExitStack() as probes:
        found = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in found:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in found]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the developer's shell says of Queqiao is not meant for tests."""
    for name in ("QUEQIAO_CONFIG", "QUEQIAO_NATS_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    return any_ports


@pytest.fixture
def free_port() -> int:
    return any_ports(1)[0]


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a broker that answers; skip where there is no binary."""
    try:
        binary = find_broker()
    except PlanError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("broker")
    port, monitor = any_ports(2)
    config = folder / "nats.conf"
    config.write_text(broker_config(port=port, monitor=monitor, store=folder / "store"))
    planned = broker(binary, config, port=port, monitor=monitor)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(planned.command, stdout=log, stderr=log)
    deadline = time.monotonic() + 30
    while not answers(planned.ready):
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, "the broker does not answer"
        time.sleep(0.05)
    yield f"nats://127.0.0.1:{port}"
    process.terminate()
    process.wait()
