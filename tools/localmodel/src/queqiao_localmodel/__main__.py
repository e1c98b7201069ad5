"""The local model behind the OpenAI protocol: `python -m queqiao_localmodel --port 8091`."""

import argparse
import asyncio
import os
import sys

from queqiao_localmodel.process import announce, asked_to_stop
from queqiao_localmodel.weights import Weights, WeightsError, cache_folder, prepared


class EngineError(Exception):
    """The engine cannot run on this machine."""


def prepare() -> Weights:
    """The weights, made ready if need be."""
    weights = prepared(cache_folder())
    if weights.remark:
        announce(weights.remark)
    return weights


async def serve(host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        EngineError: the engine's library is missing, or it would not start.
    """
    try:
        from queqiao_localmodel.server import ServerError, start
    except ImportError as error:  # its wheel brings all but OpenMP
        hint = "Debian's package libgomp1 has what it needs"
        raise EngineError(f"the local model cannot run here: {error} ({hint})") from error
    try:
        server = start(prepare(), host, port)
    except ServerError as error:
        raise EngineError(str(error)) from error
    announce(f"the local model answers at {server.listening_address}/v1")
    await asked_to_stop()
    # Letting go of the server would wait for answers under way (over 20 s, xllamacpp 2026.10).
    os._exit(0)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m queqiao_localmodel", description="A small local language model."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8091, help="0: any free port (default: 8091)")
    parser.add_argument(
        "--prepare", action="store_true", help="only fetch and convert the weights, once"
    )
    return parser.parse_args()


def main() -> None:
    """Do what the command line says."""
    given = arguments()
    try:
        if given.prepare:
            weights = prepare()
            announce(f"{weights.name} is ready: {weights.path}")
        else:
            asyncio.run(serve(given.host, given.port))
    except (WeightsError, EngineError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
