"""The simulator as one application: the API host, the control API, the chat page."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import ExceptionHandler, Scope

from queqiao_simulator import api, control, surroundings
from queqiao_simulator.accounts import UnknownError
from queqiao_simulator.clock import Clock
from queqiao_simulator.faults import Fault
from queqiao_simulator.observer import Observer
from queqiao_simulator.refusals import Refused
from queqiao_simulator.settings import Settings
from queqiao_simulator.world import World

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
# The page shows what models write: nothing in it may load or run anything else.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def create_app(
    settings: Settings,
    clock: Clock | None = None,
    observers: Sequence[Observer] = (),
    faults: Sequence[Fault] = (),
) -> FastAPI:
    """Build the simulator. Each call builds a world of its own; a reset keeps these faults."""
    app = FastAPI(lifespan=_lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    world = app.state.world = World(settings, clock or Clock(), tuple(faults))
    app.state.observers = observers
    app.add_exception_handler(UnknownError, _refusal(404))
    app.add_exception_handler(msgspec.DecodeError, _refusal(400))
    app.add_exception_handler(Refused, _refusal(400))
    app.include_router(surroundings.routes(world))
    app.include_router(api.routes(world))
    app.include_router(control.routes(world))
    app.mount("/", _Page(directory=PAGE, html=True))
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    world: World = app.state.world
    watching = [
        asyncio.create_task(observer.watch(world.observe)) for observer in app.state.observers
    ]
    for task in watching:
        task.add_done_callback(_report)
    yield
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    world.timers.clear()
    await world.pusher.close()
    world.record_to(None)


def _report(watching: asyncio.Task[None]) -> None:
    """Say why an observer has ended: the page shows less from now on."""
    if not watching.cancelled() and (error := watching.exception()):
        log.error("an observer has ended", exc_info=error)


class _Page(StaticFiles):
    """The chat page's files."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(PAGE_HEADERS)
        return response


def _refusal(status: int) -> ExceptionHandler:
    async def refuse(_: Request, error: Exception) -> Response:
        body = msgspec.json.encode({"error": str(error)})
        return Response(body, status_code=status, media_type="application/json")

    return refuse
