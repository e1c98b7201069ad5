"""Replicas of the cache over one bucket in memory, each with a scripted model of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from msgspec import structs
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.events import CompletionRequest, Prompt, ReplySegment
from queqiao_common.settings import Cache, Config, ContextSettings, Model, Persona
from queqiao_common.testing import NOW_MS, MemoryDocuments, published, received, request
from queqiao_common.worker import Received
from queqiao_llm.answers import Answer, key_of, persona_of, shelf_of
from queqiao_llm.book import Book
from queqiao_llm.caching import Caching
from queqiao_llm.flights import Flights
from queqiao_llm.matching import Vocabulary
from queqiao_llm.runs import Said, first_run

ROUTES = {
    "default": (Model(id="main", base_url="http://model/v1", model="some-model"),),
    "other": (Model(id="large", base_url="http://model/v1", model="large-model"),),
}
PERSONA = Prompt("system", "你是客服。")


class Bucket(MemoryDocuments[Answer]):
    """A bucket whose writes every replica hears at once."""

    def __init__(self) -> None:
        super().__init__()
        self.books: list[Book] = []
        self.is_away = False

    async def create(self, key: str, value: Answer) -> bool:
        """Let others run first, as a broker does."""
        await asyncio.sleep(0)
        return await super().create(key, value)

    async def update(self, key: str, change: Callable[[Answer | None], Any]) -> Any:
        """Let others run first, as a broker does."""
        await asyncio.sleep(0)
        return await super().update(key, change)

    async def put(self, key: str, value: Answer, *, revision: int) -> int:
        """Write, and tell."""
        if self.is_away:
            raise BrokerUnavailable("gone fishing")
        written = await super().put(key, value, revision=revision)
        for book in self.books:
            book.note(key, value)
        return written

    async def delete(self, key: str) -> None:
        """Delete, and tell."""
        await super().delete(key)
        for book in self.books:
            book.note(key, None)


class Clock:
    """The wall clock in milliseconds: it stands still unless told."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def wall() -> int:
    """Return the real time, for what waits."""
    return time.time_ns() // 1_000_000


class Writer:
    """A model: says its pieces at each call, or fails; holds back until `gate` opens."""

    def __init__(self, *pieces: str, cut: bool = False, gate: asyncio.Event | None = None) -> None:
        self.pieces = pieces
        self.cut = cut
        self.gate = gate
        self.asked: list[CompletionRequest] = []

    async def write(self, turn: Received[CompletionRequest]) -> AsyncIterator[Said]:
        """Write one answer."""
        event = turn.event
        self.asked.append(event)
        if self.gate is not None:
            await self.gate.wait()
        for number, text in enumerate(self.pieces or ("",)):
            is_last = number == max(0, len(self.pieces) - 1)
            segment = ReplySegment(
                id=f"rep:{event.turn_id}.{first_run(turn.attempt)}.{number}",
                account=event.account,
                conv=event.conv,
                turn_id=event.turn_id,
                number=number,
                attempt=first_run(turn.attempt),
                text=text,
                final=is_last,
                failed=not self.pieces,
                model="" if not self.pieces else "main",
            )
            yield Said(segment, cut=self.cut and is_last)


class Replica:
    """One llm service with a cache."""

    def __init__(
        self,
        bucket: Bucket,
        writer: Writer,
        *,
        now_ms=wall,
        memory: int = 10,
        personas: dict[str, Persona] | None = None,
        **rules,
    ) -> None:
        config = Config(
            cache=Cache(**rules),
            context=ContextSettings(max_messages=memory),
            personas=personas or {},
        )
        self.writer = writer
        self.book = Book(Vocabulary(), limit=config.cache.max_answers, now_ms=now_ms)
        bucket.books.append(self.book)
        for key, document in bucket.documents.items():
            self.book.note(key, document.value)
        self.flights = Flights(bucket, self.book, now_ms=now_ms)
        self.cache = Caching(
            writer.write,
            config=config,
            routes=ROUTES,
            book=self.book,
            documents=bucket,
            flights=self.flights,
            now_ms=now_ms,
        )

    @property
    def waiting(self) -> int:
        """How many turns wait for the answer to somebody else's."""
        return sum(map(len, self.book._waiting.values()))

    async def ask(self, *said: str, attempt: int = 1, **fields) -> list[ReplySegment]:
        """Handle one turn: what was said by turns, the user's question last."""
        roles = ["user", "assistant"] * len(said)
        prompt = tuple(map(Prompt, roles, said))
        deadline = {"deadline_ms": max(NOW_MS, wall()) + 60_000}
        event = request(**(deadline | {"prompt": (PERSONA, *prompt)} | fields))
        return await published(self.cache.answer(received(event, attempt=attempt)))

    async def text(self, *said: str, **fields) -> str:
        """Return the whole answer."""
        return "\n\n".join(one.text for one in await self.ask(*said, **fields))


def key(question: str) -> str:
    """Return the key of a question to the usual persona."""
    shelf = shelf_of(
        account="main", persona=persona_of([PERSONA]), route="default", models=ROUTES["default"]
    )
    return key_of(shelf, question)


async def keep(bucket: Bucket, question: str, text: str, **fields) -> None:
    """Put an operator's answer into the bucket."""
    answer = Answer(question=question, text=text, created_ms=NOW_MS, pinned=True, source="operator")
    await bucket.create(key(question), structs.replace(answer, **fields))
