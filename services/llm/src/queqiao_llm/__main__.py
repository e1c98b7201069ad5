"""Llm answers turns by asking models: `python -m queqiao_llm`."""

import time

from queqiao_common.kv import JetStreamDocuments
from queqiao_common.runtime import Runtime, run
from queqiao_common.topology import ANSWERS, DAY, LLM_REQUESTS

from queqiao_llm.answers import Answer, lives
from queqiao_llm.book import Book
from queqiao_llm.caching import Caching
from queqiao_llm.circuits import Circuits
from queqiao_llm.flights import PATIENCE, RENEW, Flights
from queqiao_llm.matching import Vocabulary
from queqiao_llm.providers.opening import open_providers
from queqiao_llm.routing import routes_of
from queqiao_llm.service import Llm

EVER = 10 * 365 * DAY
TIDY = 60.0
"""Seconds between two rounds of tidying up the cache."""


def now_ms() -> int:
    """Return the wall clock."""
    return time.time_ns() // 1_000_000


async def main(runtime: Runtime) -> None:
    """Wire the service and work until told to stop."""
    config, routes = runtime.config, routes_of(runtime.config)
    async with open_providers(config.models, connections=config.llm.concurrency) as providers:
        llm = Llm(
            providers=providers,
            routes=routes,
            circuits=Circuits(config.models, time.monotonic),
            segment_bytes=config.llm.segment_bytes,
            now_ms=now_ms,
        )
        words = Vocabulary(config.cache.synonyms)
        book = Book(words, limit=config.cache.max_answers, now_ms=now_ms)
        documents = JetStreamDocuments(
            runtime.bus, ANSWERS, Answer, lives=lives(now_ms), patience=PATIENCE
        )
        flights = Flights(documents, book, now_ms=now_ms)
        cache = Caching(
            llm.write,
            config=config,
            routes=routes,
            book=book,
            documents=documents,
            flights=flights,
            now_ms=now_ms,
        )
        runtime.follow_bucket(ANSWERS, book.hear, since=EVER)
        runtime.every(RENEW, flights.renew)
        runtime.every(TIDY, cache.write_hits)
        runtime.every(TIDY, book.sweep)
        runtime.consume(
            LLM_REQUESTS, cache.answer, on_buried=llm.bury, slots=config.llm.concurrency
        )
        await runtime.run()


if __name__ == "__main__":
    run("llm", main)
