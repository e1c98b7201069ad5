"""Play the WeChat platform: `python -m queqiao_simulator --config FILE`."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import msgspec

from queqiao_simulator import faults
from queqiao_simulator.app import create_app
from queqiao_simulator.faults import Fault
from queqiao_simulator.observer import Observer
from queqiao_simulator.server import serving
from queqiao_simulator.settings import Settings, read

T = TypeVar("T")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="queqiao-simulator", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="a TOML file of [[accounts]]")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090, help="0: any free one")
    parser.add_argument("--faults", type=Path, help="a TOML file of [[faults]], in force at once")
    parser.add_argument("--record", type=Path, help="append every push to this file (JSON lines)")
    parser.add_argument(
        "--nats",
        metavar="URL",
        default="",
        help="Queqiao's broker: the page then says what the services did (or QUEQIAO_NATS_URL)",
    )
    return parser.parse_args()


def observers(url: str) -> list[Observer]:
    """Whoever can say what the services did, where their broker is named."""
    if find_spec("queqiao_common") is None:
        if url:
            sys.exit("--nats needs the package queqiao-common")
        return []
    from queqiao_common.settings import environment

    from queqiao_simulator.nats_observer import NatsObserver

    url = url or environment("QUEQIAO_NATS_URL")
    return [NatsObserver(url)] if url else []


async def serve(
    settings: Settings,
    watching: Sequence[Observer],
    misbehaving: Sequence[Fault],
    given: argparse.Namespace,
) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = create_app(settings, observers=watching, faults=misbehaving)
    app.state.world.record_to(given.record)
    async with serving(app, given.host, given.port) as url:
        sys.stdout.write(f"simulator ready {url}\n")
        sys.stdout.flush()
        await stop.wait()
        app.state.world.listeners.close()


def read_or_exit(path: Path, reader: Callable[[Path], T]) -> T:
    """What a file holds; a file that is wrong ends the command with a line that says why."""
    try:
        return reader(path)
    except (OSError, msgspec.DecodeError, ValueError) as error:
        sys.exit(f"{path}: {error}")


def main() -> None:
    """Run the simulator."""
    given = arguments()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    settings = read_or_exit(given.config, read)
    misbehaving = read_or_exit(given.faults, faults.read) if given.faults else []
    loop_factory = None
    with contextlib.suppress(ImportError):  # not on Windows
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        try:
            runner.run(serve(settings, observers(given.nats), misbehaving, given))
        except OSError as error:
            sys.exit(f"cannot listen on {given.host}:{given.port}: {error.strerror}")


if __name__ == "__main__":
    main()
