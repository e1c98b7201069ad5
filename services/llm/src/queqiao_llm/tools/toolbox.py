"""What each persona may call, and the calls themselves."""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from msgspec import structs
from opentelemetry.trace import Status, StatusCode
from queqiao_common import telemetry
from queqiao_common.errors import QueqiaoError
from queqiao_common.events import CompletionRequest, Media
from queqiao_common.objects import Objects
from queqiao_common.settings import Config, Model, Persona

from queqiao_llm import metrics
from queqiao_llm.completion import Provider, Tool
from queqiao_llm.preparing import Prepared
from queqiao_llm.tools import own
from queqiao_llm.tools.functions import allowed, is_wanted
from queqiao_llm.tools.results import Outcome, Result
from queqiao_llm.tools.sessions import Session
from queqiao_llm.tools.tooled import Tooled

log = logging.getLogger(__name__)

FIRST = 3.0
"""Seconds that the first turns wait for a server that is still starting."""


class Toolbox:
    """The tools of all servers, and our own."""

    def __init__(
        self, sessions: Mapping[str, Session], config: Config, objects: Objects | None = None
    ) -> None:
        self._sessions = sessions
        self._objects = objects
        self._config = config
        self._own = own.offered(config)
        self._places: dict[str, tuple[Session, str]] = {}

    async def prepare(self, request: CompletionRequest, prepared: Prepared) -> Prepared:
        """Put the tools of the turn's persona before the models."""
        if request.purpose != "answer":
            return prepared
        persona = self._config.persona(request.persona)
        tools = self._own + await self._offered(persona)
        if not tools:
            return prepared
        question = structs.replace(prepared.question, tools=tools, deadline_ms=request.deadline_ms)
        return structs.replace(prepared, question=question)

    async def call(self, name: str, arguments: Mapping[str, Any], limit: float) -> Result:
        """Call a tool that was offered, for at most `limit` seconds."""
        place = self._places.get(name)
        if place is None:
            return Result(Outcome.UNKNOWN)
        session, tool = place
        began = time.monotonic()
        with telemetry.client_span(
            f"execute_tool {name}",
            **{
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": name,
                "gen_ai.tool.type": "extension",
                "queqiao.tool.server": session.server.id,
            },
        ) as span:
            result = await session.call(tool, arguments, min(limit, session.server.timeout))
            if result.outcome is not Outcome.OK:
                span.set_attribute("error.type", result.outcome)
                span.set_status(Status(StatusCode.ERROR, result.outcome))
        metrics.TOOL_SECONDS.labels(name).observe(time.monotonic() - began)
        return await self._kept(result)

    async def _kept(self, result: Result) -> Result:
        """Store the pictures of a result, to go out with the answer; without them it is as good."""
        if not result.pictures or self._objects is None:
            return result
        media: list[Media] = []
        try:
            for picture in result.pictures:
                key = f"tools/{hashlib.sha256(picture.data).hexdigest()[:32]}"
                await self._objects.put(key, picture.data)
                media.append(Media(kind="image", key=key, mime=picture.mime))
        except QueqiaoError as error:
            log.warning("tools.picture_lost", extra={"error": type(error).__name__})
        return structs.replace(result, pictures=(), media=tuple(media))

    async def _offered(self, persona: Persona) -> tuple[Tool, ...]:
        wanted = [one for one in self._sessions.values() if is_wanted(persona.tools, one.server)]
        if wanted:
            await asyncio.gather(*(session.settle(FIRST) for session in wanted))
        return tuple(tool for session in wanted for tool in self._shown(session, persona))

    def _shown(self, session: Session, persona: Persona) -> list[Tool]:
        """Return the functions of one server for a persona, and remember where they lead."""
        may = [
            (name, function)
            for name, function in session.functions.items()
            if allowed(persona.tools, session.server, name)
        ]
        self._places.update({function.name: (session, name) for name, function in may})
        return [function for _, function in may]


def around(
    toolbox: Toolbox, config: Config, now_ms: Callable[[], int]
) -> Callable[[Provider, Model], Provider]:
    """Return what puts the tool loop around a model; nothing where there are no tools at all."""
    if not config.tools.servers and not own.offered(config):
        return lambda provider, _: provider
    return lambda provider, model: Tooled(
        provider, toolbox, model, config.tools, now_ms=now_ms, clock=time.monotonic
    )


@asynccontextmanager
async def open_toolbox(config: Config, objects: Objects | None = None) -> AsyncIterator[Toolbox]:
    """Open the sessions with all servers, without waiting for any; closed behind the block."""
    sessions = {server.id: Session(server) for server in config.tools.servers}
    running = [asyncio.create_task(session.run()) for session in sessions.values()]
    try:
        yield Toolbox(sessions, config, objects)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
