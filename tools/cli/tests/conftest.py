"""A broker of the tests' own: started as `queqiao up` starts it."""

import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from queqiao_cli.plan import PlanError, broker, broker_config
from queqiao_cli.processes import answers
from queqiao_cli.running import find_broker


def any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    return any_port()


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a broker that answers; skip where there is no binary."""
    try:
        binary = find_broker()
    except PlanError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("broker")
    port, monitor = any_port(), any_port()
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
