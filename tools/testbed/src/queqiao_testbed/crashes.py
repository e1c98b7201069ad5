"""Has the one replica of a service die at a fail-point, and brings it back at once.

What would take a dead replica's successor its time-outs is sped up, without touching the services:
the broker is told to give up waiting for the dead, and the marker of a send is made older.
"""

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import tomlkit
from msgspec import Struct
from queqiao_common import bus as bus_module
from queqiao_common.answers import Refused
from queqiao_common.bus import Bus
from queqiao_common.failpoints import EXIT_CODE, POINTS, VARIABLE
from queqiao_common.provision import apply_consumer
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually
from queqiao_common.topology import CONSUMERS, SENT, STREAMS

from queqiao_testbed.configuration import Options
from queqiao_testbed.journal import backlog
from queqiao_testbed.ledger import MARK
from queqiao_testbed.processes import Child
from queqiao_testbed.system import System, running

AMBIGUOUS = "queqiao_egress_ambiguous_total"
LONG_AGO_MS = 60_000
"""What a marker's age is raised by: more than any sender is waited for."""
AT_ONCE = 0.05
RESTART = 10.0
"""Seconds until WeChat tries again where nobody listens: longer than a slow start takes."""


class _Message(Struct):
    subject: str
    data: str = ""


class _Found(Struct):
    message: _Message


class _State(Struct):
    last_seq: int


class _Stream(Struct):
    state: _State


def service_of(point: str) -> str:
    """Return the service whose process reaches a fail-point."""
    return POINTS[point].window.partition(" ")[0]


class Stage:
    """One replica of everything, on which a crash is played after another."""

    def __init__(self, system: System, bus: Bus) -> None:
        self.system = system
        self._bus = bus

    async def crash(
        self, point: str, account: str, user: str, text: str, **settings: Mapping[str, Any]
    ) -> None:
        """Have a user's message kill the service that the point belongs to; then start it again.

        `settings` are what is different in the service's configuration, by section. Returns once
        nothing is left to do.
        """
        child = self.system.replica(service_of(point))
        config = str(self._configuration(point, settings))
        await asyncio.to_thread(child.kill)
        child.start(QUEQIAO_CONFIG=config, **{VARIABLE: point})
        await self.system.ready()
        await self.system.say(account, user, text)
        await eventually(lambda: child.exit_code == EXIT_CODE, within=30.0)
        await self._hurry(child)
        child.start(QUEQIAO_CONFIG=config)
        await self.system.ready()
        await eventually(self.is_quiet, within=60.0)

    async def say(self, account: str, user: str, text: str) -> None:
        """Have a user write, and wait until nothing is left to do."""
        await self.system.say(account, user, text)
        await eventually(self.is_quiet, within=60.0)

    def _configuration(self, point: str, settings: Mapping[str, Mapping[str, Any]]) -> Path:
        table = tomlkit.parse((self.system.folder / "queqiao.toml").read_text(encoding="utf-8"))
        table.update({name: {**table.get(name, {}), **one} for name, one in settings.items()})
        path = self.system.folder / f"{point}.toml"
        path.write_text(tomlkit.dumps(table), encoding="utf-8")
        return path

    async def _hurry(self, dead: Child) -> None:
        """Redeliver what the dead replica had in hand; its successor applies the topology again."""
        service = dead.name.rpartition("-")[0]
        for consumer in CONSUMERS:
            if consumer.service == service:
                await apply_consumer(self._bus, replace(consumer, ack_wait=AT_ONCE))
        if service == "egress":
            await self._age_last_marker()

    async def _age_last_marker(self) -> None:
        subject = f"$KV.{SENT.name}.>"
        try:
            answer = await self._bus.api(f"STREAM.MSG.GET.{SENT.stream}", {"last_by_subj": subject})
        except Refused:
            return  # no marker has ever been written
        found = msgspec.json.decode(answer, type=_Found).message
        marker = msgspec.json.decode(base64.b64decode(found.data), type=dict[str, Any])
        older = marker | {"since_ms": marker["since_ms"] - LONG_AGO_MS}
        await self._bus.publish(found.subject, msgspec.json.encode(older))

    async def is_quiet(self) -> bool:
        """Whether no event waits for anybody, and no callback for its answer.

        Consumers are asked one after another; only if nothing was published meanwhile can no event
        have gone from one that was yet to be asked to one that had been.
        """
        before = await self._published()
        stats = await self.system.control("GET", "/stats")
        is_idle = not stats["in_flight"] and not await backlog(self._bus)
        return is_idle and before == await self._published()

    async def _published(self) -> list[int]:
        answers = [await self._bus.api(f"STREAM.INFO.{stream.name}") for stream in STREAMS]
        return [msgspec.json.decode(answer, type=_Stream).state.last_seq for answer in answers]

    async def shown(self, account: str, user: str) -> Counter[str]:
        """Count how often a user has read an answer to each question."""
        replies = await self.system.replies(account, user)
        return Counter(match[0] for text in replies for match in MARK.finditer(text))

    async def doubts(self, policy: str) -> float:
        """Return what egress has counted as ambiguous since its last start."""
        (port,) = self.system.ports.services["egress"]
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://127.0.0.1:{port}/metrics")
        name = f'{AMBIGUOUS}{{policy="{policy}"}}'
        values = (line.rsplit(" ", 1) for line in answer.text.splitlines())
        return sum(float(value) for key, *rest in values for value in rest if key == name)


@asynccontextmanager
async def staged(folder: Path, *, broker_url: str) -> AsyncIterator[Stage]:
    """Start one replica of everything."""
    options = Options(
        settings={
            "moderation": {"messages_per_minute": 0},
            "cache": {"enabled": False},  # a dead llm's lease on a question outlasts its ack_wait
        },
        simulator={"push": {"refused_pause": RESTART}},
    )
    bus = await bus_module.connect(Nats(url=broker_url), "crashes")
    try:
        async with running(folder, broker_url=broker_url, options=options) as system:
            yield Stage(system, bus)
    finally:
        await bus.close()
