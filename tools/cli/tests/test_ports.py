import os
import socket
import sys
from collections.abc import Iterator

import pytest
from queqiao_cli.plan import Process
from queqiao_cli.ports import is_free, listener, taken


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def wanting(port: int):
    return ((Process(name="ingress", command=(), listens=(("ingress", port),)),),)


def test_a_port_in_use_is_named_with_its_purpose_and_the_way_round_it(busy):
    """'Address already in use' alone has cost everybody an hour."""
    [problem] = taken(wanting(busy))

    assert f"port {busy}, for ingress, is in use" in problem
    assert "--port ingress=" in problem
    assert "QUEQIAO_INGRESS_PORT" in problem


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_process_that_has_it_is_named(busy):
    assert listener(busy) == os.getpid()
    assert f"by process {os.getpid()} (" in taken(wanting(busy))[0]


def test_a_port_is_free_again_when_its_server_is_gone(busy):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert is_free(port)
    assert not is_free(busy)
