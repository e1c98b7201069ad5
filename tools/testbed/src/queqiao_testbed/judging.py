"""Waits until everything is answered, and says what the users saw."""

from collections.abc import Mapping, Sequence

from queqiao_common import bus as bus_module
from queqiao_common.events import InboundMessage
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually
from queqiao_common.topology import CHAT, INBOUND

from queqiao_testbed.journal import events
from queqiao_testbed.ledger import MARK, Verdict, judge
from queqiao_testbed.system import System

APOLOGY = "没能答上来"

Asked = Mapping[str, Sequence[str]]
"""The marks of the questions that each user asked, in order."""


async def settled(system: System, account: str, asked: Asked, *, within: float = 90.0) -> Verdict:
    """Return the verdict when nothing is missing any more, or after `within` seconds."""

    async def whole() -> Verdict | None:
        found = await verdict(system, account, asked)
        return None if found.lost else found

    try:
        found: Verdict = await eventually(whole, within=within, every=0.5)
    except AssertionError:
        found = await verdict(system, account, asked)
    return found


async def verdict(system: System, account: str, asked: Asked) -> Verdict:
    """Judge what the users of an account have seen so far, by the order of acceptance."""
    seen: dict[str, list[Mapping[str, object]]] = {}
    for entry in await system.transcript(account):
        seen.setdefault(entry["user"], []).append(entry)
    return judge(asked, seen, apology=APOLOGY, accepted=await accepted(system))


async def accepted(system: System) -> dict[str, int]:
    """Return the place of each question in the stream that accepted it.

    Two callbacks of one user that travel at the same time may be accepted in either order.
    """
    bus = await bus_module.connect(Nats(url=system.broker_url), "judge")
    try:
        places: dict[str, int] = {}
        async for sequence, message in events(bus, CHAT, INBOUND.filter, InboundMessage):
            for match in MARK.finditer(message.text):
                places.setdefault(match[0], sequence)
        return places
    finally:
        await bus.close()
