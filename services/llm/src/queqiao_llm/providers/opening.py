"""Which adapter speaks to which model, and what they hold open together."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from queqiao_common.settings import Model

from queqiao_llm.completion import Provider
from queqiao_llm.providers.openai import OpenAi, open_http


@asynccontextmanager
async def open_providers(
    models: Iterable[Model], *, connections: int
) -> AsyncIterator[dict[str, Provider]]:
    """Open an adapter for each model, by its id; their connections are closed behind the block."""
    async with AsyncExitStack() as held:
        http = await held.enter_async_context(open_http(connections))
        yield {model.id: await _opened(model, http, held) for model in models}


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
