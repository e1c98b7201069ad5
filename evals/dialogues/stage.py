"""Where dialogues are held: the whole system with the four personas, the simulator for WeChat."""

import argparse
import contextlib
import time
import tomllib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import Struct
from queqiao_cli.knowledge import commands
from queqiao_common import provision
from queqiao_common.bus import Bus, connect
from queqiao_common.events import Delivery, DeliveryResult
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually
from queqiao_common.topology import DELIVERED, READY, REPLY
from queqiao_testbed.configuration import Options
from queqiao_testbed.journal import events
from queqiao_testbed.system import System, build

from evals.dialogues.reading import ROOT, Scenario

ACCOUNT = "active"
"""Its whole answers come by the customer-service API: nothing has to fit into a callback."""
CONFIG = ROOT / "examples/scenarios/all.toml"
LOOK = 0.1
ANSWERED_WITHIN = 120.0
TAKEN = ("context", "knowledge", "media", "notes", "tools", "handover", "rules")
"""The tables of the scenarios' file that the test system takes over as they are."""


class Models(Struct, frozen=True):
    """The models that answer: tables of a configuration file. None: the fake one of the testbed."""

    models: tuple[dict[str, Any], ...] = ()
    route: tuple[str, ...] = ()

    @property
    def names(self) -> str:
        """What the report calls them."""
        ours = [f"{one['id']} ({one['model']})" for one in self.models if one["id"] in self.route]
        return ", ".join(ours) or "the fake model, which only repeats the question"


def models_of(config: Path | None) -> Models:
    """Return the models of a configuration file, and those of its first route."""
    if config is None:
        return Models()
    table = tomllib.loads(config.read_text(encoding="utf-8"))
    models = tuple(table.get("models", ()))
    routes = table.get("routes") or {"default": [one["id"] for one in models]}
    return Models(models, tuple(routes.get("default") or next(iter(routes.values()))))


def settings_of(models: Models) -> dict[str, Any]:
    """Return what the test system is told: the personas and rules, and these models."""
    table = tomllib.loads(CONFIG.read_text(encoding="utf-8"))
    settings = {name: table[name] for name in TAKEN if name in table}
    personas = {name: one | {"route": "default"} for name, one in table["personas"].items()}
    settings["personas"] = personas
    settings["moderation"] = {"messages_per_minute": 0}
    if "knowledge" in settings:  # loaded after the start, beside all other starts
        settings["knowledge"]["timeout"] = 30.0
    if "tools" in settings:
        settings["tools"]["servers"] = [_server(one) for one in settings["tools"]["servers"]]
    if models.models:
        settings |= {"models": list(models.models), "routes": {"default": list(models.route)}}
    return settings


def _server(server: dict[str, Any]) -> dict[str, Any]:
    """Return a tool server that needs no account: the map provider's is played by our own."""
    if server["id"] != "amap":
        return server
    own = {"command": "python", "args": ["-m", "evals.dialogues.places"]}
    return {"id": "amap", "timeout": 15.0, "env": {"PYTHONPATH": str(ROOT)}} | own


@dataclass
class Stage:
    """The running system, and what it has answered so far."""

    system: System
    bus: Bus
    _read: dict[str, int] = field(default_factory=dict)
    _lasts: set[str] = field(default_factory=set)
    _done: set[str] = field(default_factory=set)

    async def ask(self, user: str, text: str) -> tuple[str, float]:
        """Say something and return the whole answer, and the seconds until all of it was there.

        One user speaks at a time: the next answer that ends is the one to this.

        Raises:
            AssertionError: there is no end of it within two minutes.
        """
        before = len(await self.system.replies(ACCOUNT, user))
        began = time.monotonic()
        ended = len(await self._ended())
        await self.system.say(ACCOUNT, user, text)

        async def is_over() -> bool:
            return len(await self._ended()) > ended

        await eventually(is_over, within=ANSWERED_WITHIN, every=LOOK)
        took = time.monotonic() - began
        return "\n\n".join((await self.system.replies(ACCOUNT, user))[before:]), took

    async def _ended(self) -> set[str]:
        """Return the last deliveries of turns that have their results."""
        async for delivery in self._new(READY.filter, Delivery):
            if delivery.final:
                self._lasts.add(delivery.id)
        async for result in self._new(DELIVERED.filter, DeliveryResult):
            self._done.add(result.delivery_id)
        return self._lasts & self._done

    async def _new(self, subject: str, kind: type[Any]) -> AsyncIterator[Any]:
        after = self._read.get(subject, 0)
        async for sequence, event in events(self.bus, REPLY, subject, kind, after):
            self._read[subject] = sequence
            yield event


@contextlib.asynccontextmanager
async def stage(
    folder: Path, *, broker_url: str, scenarios: Iterable[Scenario], models: Models
) -> AsyncIterator[Stage]:
    """Start the system, the documents of the scenarios in place, and end it after its use."""
    options = Options(settings=settings_of(models))
    system = build(folder, broker_url=broker_url, options=options)
    bus = await connect(Nats(url=broker_url), "evals")
    try:
        await provision.apply_patiently(bus)
        for scenario in scenarios:
            if scenario.documents:
                await _add(folder / "queqiao.toml", scenario)
        await system.start()
        yield Stage(system, bus)
    finally:
        await system.close()
        await bus.close()


async def _add(config: Path, scenario: Scenario) -> None:
    """Take a scenario's documents in, as an operator does."""
    options = argparse.Namespace(
        config=config,
        paths=[ROOT / scenario.documents],
        collection=scenario.collection,
        title=None,
    )
    await commands.add(options)
