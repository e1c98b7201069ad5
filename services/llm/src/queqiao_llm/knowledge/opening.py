"""What of a configuration is looked up where: the wiring of this package."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from queqiao_common.objects import Objects
from queqiao_common.runtime import Runtime
from queqiao_common.settings import Config
from queqiao_common.topology import DAY, KNOWLEDGE

from queqiao_llm.knowledge.asking import Asking
from queqiao_llm.knowledge.embedding import Embedder
from queqiao_llm.knowledge.knowing import Knowing
from queqiao_llm.knowledge.library import Library
from queqiao_llm.knowledge.passages import Passages
from queqiao_llm.knowledge.qdrant import Qdrant

EVER = 10 * 365 * DAY
REFRESH = 1.0
"""Seconds between two looks at what has changed."""
CONNECTIONS = 32


@asynccontextmanager
async def open_knowledge(runtime: Runtime) -> AsyncIterator[Knowing]:
    """Open what looks answers up, and keep it as the object store is."""
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(limits=limits) as http:
        knowing, library = open_knowing(runtime.config, runtime.objects(KNOWLEDGE), http)
        runtime.follow_store(KNOWLEDGE, library.hear, since=EVER)
        runtime.every(REFRESH, library.refresh)
        yield knowing


def open_knowing(
    config: Config, objects: Objects, http: httpx.AsyncClient
) -> tuple[Knowing, Library]:
    """Return what looks answers up, and the library that is to hear of changes."""
    rules, asking = config.knowledge, Asking(config.cache.synonyms)
    library = Library(
        objects,
        asking,
        collections=collections_of(config),
        indexed=not rules.qdrant_url,
    )
    passages: Passages = library
    if rules.qdrant_url:
        passages = open_qdrant(config, http)
    knowing = Knowing(
        config=config,
        library=library,
        asking=asking,
        passages=passages,
        embedder=open_embedder(config, http),
    )
    return knowing, library


def open_embedder(config: Config, http: httpx.AsyncClient) -> Embedder | None:
    """Return the model that finds by meaning, where one is configured."""
    found = (one for one in config.models if one.id == config.knowledge.embed)
    model = next(found, None)
    return Embedder(http, model) if model else None


def open_qdrant(config: Config, http: httpx.AsyncClient) -> Qdrant:
    """Return the vector store of the configuration."""
    rules = config.knowledge
    return Qdrant(
        http,
        url=rules.qdrant_url,
        api_key=rules.qdrant_api_key.reveal(),
        collection=rules.qdrant_collection,
        timeout=rules.timeout,
    )


def collections_of(config: Config) -> frozenset[str]:
    """Return the collections that some persona looks answers up in."""
    if not config.knowledge.enabled:
        return frozenset()
    return frozenset(name for one in config.personas.values() for name in one.knowledge)
