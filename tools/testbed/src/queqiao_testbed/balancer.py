"""The load balancer before ingress: callbacks go to the replicas that say they are ready.

Without one, a planned restart could not be told from a crash: WeChat would call a replica that has
said that it is about to close its door.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx

from queqiao_testbed.configuration import ACCOUNTS
from queqiao_testbed.system import System

LOOK = 0.25
"""Seconds between two looks: far less than a replica of ingress keeps its door open."""


@contextlib.asynccontextmanager
async def balanced(system: System) -> AsyncIterator[None]:
    """Balance while the context is open; afterwards callbacks go to all replicas again."""
    balancing = asyncio.create_task(_balance(system))
    try:
        yield
    finally:
        balancing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await balancing
        with contextlib.suppress(httpx.HTTPError):
            await _route(system, system.ports.services["ingress"])


async def _balance(system: System) -> None:
    every = system.ports.services["ingress"]
    routed = every
    while True:
        are_ready = await asyncio.gather(
            *(system.is_ready(child) for child in system.children["ingress"])
        )
        # Where nobody is ready, all are tried: they know best what to say.
        ports = [port for port, ready in zip(every, are_ready, strict=True) if ready] or every
        if ports != routed:
            with contextlib.suppress(httpx.HTTPError):
                await _route(system, ports)
                routed = ports
        await asyncio.sleep(LOOK)


async def _route(system: System, ports: list[int]) -> None:
    for account in ACCOUNTS:
        urls = [f"http://127.0.0.1:{port}/wechat/{account['id']}" for port in ports]
        body = {"account": account["id"], "urls": urls}
        await system.control("PUT", "/callbacks", json=body)
