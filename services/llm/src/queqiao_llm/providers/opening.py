"""Which adapter speaks to which model, and what they hold open together."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from msgspec import structs
from queqiao_common.settings import Model

from queqiao_llm.completion import Provider
from queqiao_llm.providers.openai import OpenAi, open_http

Providers = dict[str, tuple[Provider, ...]]
"""The adapters of each model, by its id: one for each of its keys, in their order."""


@asynccontextmanager
async def open_providers(
    models: Iterable[Model],
    *,
    connections: int,
    around: Callable[[Provider, Model], Provider] = lambda provider, _: provider,
) -> AsyncIterator[Providers]:
    """Open the adapters of all models; their connections are closed behind the block.

    `around` may put something between an adapter and whoever asks: it is called for each.
    """
    async with AsyncExitStack() as held:
        http = await held.enter_async_context(open_http(connections))
        yield {
            model.id: tuple(
                [around(await _opened(one, http, held), model) for one in by_key(model)]
            )
            for model in models
        }


def by_key(model: Model) -> list[Model]:
    """Return a model as it is asked with each of its keys; one without any has one form too."""
    return [structs.replace(model, api_key=key, api_keys=()) for key in model.keys]


async def _opened(model: Model, http: httpx.AsyncClient, held: AsyncExitStack) -> Provider:
    # Imported late: gRPC alone takes 13 MB that whoever speaks to HTTP endpoints need not spend.
    match model.protocol:
        case "openai":
            return OpenAi(http, model)
        case "kserve":
            from queqiao_llm.providers.kserve import KServe, open_channel

            return KServe(await held.enter_async_context(open_channel(model)), model)
        case "spark":
            from queqiao_llm.providers.spark import Spark

            return Spark(model)
        case "realtime":
            from queqiao_llm.providers.realtime import Realtime

            return Realtime(model)
