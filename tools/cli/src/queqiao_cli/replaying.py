"""`queqiao replay`: pushes that a simulator recorded, once more, at any speed."""

import argparse

from queqiao_common.errors import QueqiaoError
from queqiao_simulator import replay

from queqiao_cli.terminal import complain, say


def speed(text: str) -> float:
    """Read `--speed`: times the original, 0 without any pause.

    Raises:
        argparse.ArgumentTypeError: it is no number from 0 to 1,000.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1000")
    return value


async def run(options: argparse.Namespace) -> int:
    """Play a recording through a simulator, or as it was recorded to a callback.

    Raises:
        QueqiaoError: the file cannot be read, or is not a recording.
    """
    try:
        done = await replay.replay(
            options.file, speed=options.speed, to=options.to, exactly=options.exactly
        )
    except (OSError, ValueError) as error:
        raise QueqiaoError(f"{options.file}: {error}") from error
    say(f"{done.played} pushes played in {done.seconds:.1f} s, {done.failed} failed")
    if done.failed:
        complain(f"{options.to} did not take all of them")
    return 1 if done.failed else 0
