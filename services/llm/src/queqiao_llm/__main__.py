"""Llm answers turns by asking models: `python -m queqiao_llm`."""

from collections.abc import Callable, Mapping

from queqiao_common.kv import JetStreamDocuments
from queqiao_common.objects import JetStreamObjects
from queqiao_common.runtime import Runtime, run
from queqiao_common.settings import Model
from queqiao_common.topology import ANSWERS, DAY, LLM_MEDIA, LLM_REQUESTS, MEDIA

from queqiao_llm.answers import Answer, lives
from queqiao_llm.audio import Converter
from queqiao_llm.book import Book
from queqiao_llm.caching import Caching, Write
from queqiao_llm.flights import PATIENCE, RENEW, Flights
from queqiao_llm.knowledge.opening import open_knowledge
from queqiao_llm.matching import Vocabulary
from queqiao_llm.opening import open_budgets, open_models
from queqiao_llm.preparing import Preparing
from queqiao_llm.providers.openai_audio import open_audio
from queqiao_llm.providers.opening import open_providers
from queqiao_llm.routing import routes_of
from queqiao_llm.service import Llm
from queqiao_llm.speaking import Speaking
from queqiao_llm.tools.toolbox import around, open_toolbox
from queqiao_llm.transcribing import Transcribing
from queqiao_llm.turns import Turns
from queqiao_llm.vision import Vision

EVER = 10 * 365 * DAY
TIDY = 60.0
"""Seconds between two rounds of tidying up the cache."""


async def main(runtime: Runtime) -> None:
    """Wire the service and work until told to stop."""
    config, routes = runtime.config, routes_of(runtime.config)
    connections, objects = config.llm.concurrency, JetStreamObjects(runtime.bus, MEDIA)
    async with (
        open_toolbox(config, objects) as toolbox,
        open_audio(config) as audio,
        open_providers(
            config.models, connections=connections, around=around(toolbox, config, runtime.now_ms)
        ) as providers,
        open_knowledge(runtime) as knowing,
    ):
        models = open_models(runtime, providers, routes, runtime.now_ms)
        llm = Llm(models, routes=routes, now_ms=runtime.now_ms, hedge=config.llm.hedge)
        vision = Vision(objects, routes, config.media)
        steps = (vision.prepare, knowing.prepare, toolbox.prepare)
        preparing = Preparing(knowing.citing(llm.write), steps=steps)
        budgets = open_budgets(runtime, preparing.write, runtime.now_ms)
        cache = open_cache(runtime, budgets.write, routes, knowing.version)
        speaking = Speaking(audio.voice, objects, Converter(), config, now_ms=runtime.now_ms)
        turns = Turns(cache.answer, summarise=budgets.write, finish=(speaking.finish,))
        transcribing = Transcribing(audio.ears, objects, Converter(), config.media)
        runtime.consume(LLM_MEDIA, transcribing.hear, on_buried=transcribing.bury)
        runtime.consume(LLM_REQUESTS, turns.handle, on_buried=llm.bury, slots=connections)
        await runtime.run()
        await budgets.flush()


def open_cache(
    runtime: Runtime,
    write: Write,
    routes: Mapping[str, tuple[Model, ...]],
    version: Callable[[str], str],
) -> Caching:
    """Put the answer cache before the models, and keep it tidy."""
    config = runtime.config
    words = Vocabulary(config.cache.synonyms)
    book = Book(words, limit=config.cache.max_answers, now_ms=runtime.now_ms)
    documents = JetStreamDocuments(
        runtime.bus, ANSWERS, Answer, lives=lives(runtime.now_ms), patience=PATIENCE
    )
    flights = Flights(documents, book, now_ms=runtime.now_ms)
    cache = Caching(
        write,
        config=config,
        routes=routes,
        book=book,
        documents=documents,
        flights=flights,
        now_ms=runtime.now_ms,
        version=version,
    )
    runtime.follow_bucket(ANSWERS, book.hear, since=EVER)
    runtime.every(RENEW, flights.renew)
    runtime.every(TIDY, cache.write_hits)
    runtime.every(TIDY, book.sweep)
    return cache


if __name__ == "__main__":
    run("llm", main)
