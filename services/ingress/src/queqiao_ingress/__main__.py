"""Ingress is the only public door: `python -m queqiao_ingress`."""

import time

from queqiao_common.claims import Claim, Given, Tries
from queqiao_common.runtime import Runtime, run
from queqiao_common.topology import CLAIMS, OFFERS

from queqiao_ingress.app import Entrance
from queqiao_ingress.callback import open_doors
from queqiao_ingress.service import Ingress
from queqiao_ingress.waiting import REMEMBERED, WaitingRoom


async def main(runtime: Runtime) -> None:
    """Wire the service and work until told to stop."""
    config = runtime.config
    ingress = Ingress(
        config,
        publisher=runtime.bus,
        claims=runtime.bucket(CLAIMS, Claim),
        tries=runtime.bucket(CLAIMS, Tries),
        given=runtime.bucket(CLAIMS, Given),
        room=WaitingRoom(seats=config.ingress.max_waiting, now=time.monotonic),
    )
    entrance = Entrance(
        doors=open_doors(config),
        ingress=ingress,
        settings=config.ingress,
        now_ms=lambda: time.time_ns() // 1_000_000,
    )
    entrance.open(runtime.app)
    runtime.follow(OFFERS, ingress.hear, since=REMEMBERED)
    await runtime.run()


if __name__ == "__main__":
    run("ingress", main)
