"""Play the WeChat platform: `python -m queqiao_simulator --config FILE`."""

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import msgspec

from queqiao_simulator.app import create_app
from queqiao_simulator.server import serving
from queqiao_simulator.settings import Settings, read


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="queqiao-simulator", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="a TOML file of [[accounts]]")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090, help="0: any free one")
    return parser.parse_args()


async def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = create_app(settings)
    async with serving(app, host, port) as url:
        sys.stdout.write(f"simulator ready {url}\n")
        sys.stdout.flush()
        await stop.wait()
        app.state.world.listeners.close()


def main() -> None:
    """Run the simulator."""
    given = arguments()
    try:
        settings = read(given.config)
    except (OSError, msgspec.DecodeError, ValueError) as error:
        sys.exit(f"{given.config}: {error}")
    loop_factory = None
    with contextlib.suppress(ImportError):  # not on Windows
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        try:
            runner.run(serve(settings, given.host, given.port))
        except OSError as error:
            sys.exit(f"cannot listen on {given.host}:{given.port}: {error.strerror}")


if __name__ == "__main__":
    main()
