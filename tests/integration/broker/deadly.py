"""A moderation whose handling ends the process, each time; with `burying`, its burying too.

Run as a script, in the place of the service, by `test_dead_letters.py`.
"""

import os
import signal
import sys
from dataclasses import replace

from queqiao_common import provision
from queqiao_common.runtime import Runtime, run
from queqiao_common.topology import LIMITS, MODERATION_INBOUND
from queqiao_moderation.limits import Pace
from queqiao_moderation.lists import LiveLists
from queqiao_moderation.service import Moderation

QUICK = replace(MODERATION_INBOUND, ack_wait=1.0, attempts=2)


async def die(_):
    os.kill(os.getpid(), signal.SIGKILL)
    yield


async def main(runtime: Runtime) -> None:
    await provision.apply_consumer(runtime.bus, QUICK)
    lists = LiveLists(runtime.config.moderation)
    moderation = Moderation(
        settings=runtime.config.moderation,
        policy=lambda: lists.policy,
        paces=runtime.bucket(LIMITS, Pace),
    )
    bury = die if "burying" in sys.argv else moderation.bury_message
    runtime.consume(QUICK, die, on_buried=bury)
    await runtime.run()


if __name__ == "__main__":
    run("moderation", main)
