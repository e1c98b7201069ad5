"""What arrived while the process stood still is read before any time-out counts."""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvloop
from queqiao_egress.patience import patient

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
ASKING = """
import sys, uvloop
sys.path.append(sys.argv[2])
from test_patience import heard
print(uvloop.run(heard(sys.argv[1], timeout=1.5)))
"""


class Server:
    """Answers one request when it is told to, in a thread of its own."""

    def __init__(self):
        self.asked, self.told = threading.Event(), threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._answer)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"

    def _answer(self):
        connection, _ = self._listening.accept()
        with connection:
            connection.recv(4096)
            self.asked.set()
            self.told.wait()
            with contextlib.suppress(OSError):
                connection.sendall(ANSWER)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.told.set()
        self._thread.join()
        self._listening.close()


async def heard(url, *, timeout):
    timeouts = httpx.Timeout(5.0, read=timeout)
    async with patient(httpx.AsyncClient(timeout=timeouts, trust_env=False)) as http:
        return (await http.get(url)).text


def test_standing_still_beyond_the_time_out_loses_no_answer():
    here = str(Path(__file__).parent)
    with Server() as server:
        argv = [sys.executable, "-c", ASKING, server.url, here]
        child = subprocess.Popen(argv, stdout=subprocess.PIPE)
        try:
            server.asked.wait()
            child.send_signal(signal.SIGSTOP)
            server.told.set()
            time.sleep(3.0)  # beyond its time-out
            child.send_signal(signal.SIGCONT)
            shown, _ = child.communicate()
        finally:
            child.kill()

    assert shown == b"ok\n"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_an_answer_that_takes_more_than_a_step_is_heard(run):
    with Server() as server:
        threading.Timer(1.3, server.told.set).start()

        assert run(heard(server.url, timeout=30.0)) == "ok"


def test_a_server_that_says_nothing_is_given_up():
    with Server() as server, pytest.raises(httpx.ReadTimeout):
        uvloop.run(heard(server.url, timeout=1.2))
