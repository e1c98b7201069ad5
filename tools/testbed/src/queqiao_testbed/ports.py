"""Ports on which nobody listens, for tests that run side by side."""

import random
import socket
from collections import deque

from queqiao_common.settings import environment

FIRST = 20_000
"""Outside the range from which a connecting socket takes its own port: while a broker is down, a
client that reconnects from the broker's own port would connect to itself, and keep the port."""
EACH = 3_000
"""Ports of one worker of pytest-xdist; without it there is one."""

_given: deque[int] = deque(maxlen=EACH // 2)


def free_ports(count: int = 2) -> list[int]:
    """Find ports that nobody listens on or was lately given, and that no other worker will choose.

    Whoever was given one may not listen yet, or be just between two lives.
    """
    worker = int(environment("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    begin = FIRST + worker * EACH
    found: set[int] = set()
    while len(found) < count:
        port = random.randrange(begin, begin + EACH)
        with socket.socket() as probe:
            if port not in _given and probe.connect_ex(("127.0.0.1", port)):
                found.add(port)
    _given.extend(found)
    return list(found)
