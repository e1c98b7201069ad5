"""What a served process owes whoever started it: one line when ready, and an end when asked."""

import asyncio
import signal
import sys


def announce(line: str) -> None:
    """Say one line, at once: whoever waits for it reads a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def asked_to_stop() -> None:
    """Return when SIGTERM or SIGINT comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
