"""The documents of the object store as this replica has them, searched without the broker."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from queqiao_common.answers import Raw
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.events import UNREADABLE
from queqiao_common.knowledge import (
    Document,
    collection_of,
    decode_document,
    object_digest,
    read_meta,
    version_of,
)
from queqiao_common.objects import Objects

from queqiao_llm.knowledge import metrics
from queqiao_llm.knowledge.asking import Asking, Sought
from queqiao_llm.knowledge.index import Index, Place
from queqiao_llm.knowledge.passages import CANDIDATES, Candidate, Passage, fused

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Documents fetched at the same time."""
TOGETHER = 64
"""Documents taken in at once: the rest is fetched meanwhile, and memory stays bounded."""


class Library:
    """The indices of the collections that some persona looks answers up in.

    With `indexed` false only the versions are followed: another store is searched.
    """

    def __init__(
        self,
        objects: Objects,
        asking: Asking,
        *,
        collections: Iterable[str],
        indexed: bool = True,
    ) -> None:
        self._objects = objects
        self._asking = asking
        self._indices = {name: Index() for name in sorted(set(collections))}
        self._indexed = indexed
        self._digests: dict[str, str] = {}
        self._pending: dict[str, str] = {}
        self._listed = False
        self.loaded = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._indices.values()))

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays; the texts are not counted."""
        return sum(index.nbytes for index in self._indices.values())

    def hear(self, raw: Raw) -> None:
        """Take note of a change of the store; `refresh` fetches it."""
        try:
            meta = read_meta(raw.data)
        except UNREADABLE as error:
            log.error("knowledge.unreadable", extra={"detail": str(error)[:200]})
            return
        digest = "" if meta.deleted else meta.digest
        if collection_of(meta.name) in self._indices and self._digests.get(meta.name) != digest:
            self._pending[meta.name] = digest

    def version(self, collections: Sequence[str]) -> str:
        """Return what changes whenever an answer from these collections may."""
        return version_of(self._digests, (one for one in collections if one in self._indices))

    async def refresh(self) -> None:
        """Fetch what has changed, and what there is when it runs for the first time.

        Raises:
            BrokerUnavailable: the rest is fetched the next time.
        """
        if not self._indexed:
            self._digests |= self._pending
            self._digests = {key: digest for key, digest in self._digests.items() if digest}
            self._pending.clear()
            self.loaded.set()
            return
        if not self._listed and self._indices:
            wanted = [key for key in await self._objects.keys() if self._wants(key)]
            self._pending = dict.fromkeys(wanted, "?") | self._pending
            self._listed = True
        while self._pending:
            await self._take(list(self._pending)[:TOGETHER])
        self.loaded.set()

    async def candidates(
        self, collections: Sequence[str], sought: Sought, vector: Sequence[float] | None
    ) -> list[Candidate]:
        """Return the chunks that may answer, the best first."""
        return await asyncio.to_thread(self._search, collections, sought, vector)

    def _wants(self, key: str) -> bool:
        return collection_of(key) in self._indices

    def _search(
        self, collections: Sequence[str], sought: Sought, vector: Sequence[float] | None
    ) -> list[Candidate]:
        rankings: list[list[Candidate]] = []
        for index in (self._indices[one] for one in collections if one in self._indices):
            words = [_candidate(place) for place in index.by_words(sought.terms, CANDIDATES)]
            rankings += [words, self._by_heading(words, sought)]
            if vector is not None:
                found = index.by_meaning(vector, CANDIDATES)
                rankings.append([_candidate(place, place.score) for place in found])
        return fused(rankings)

    def _by_heading(self, words: Sequence[Candidate], sought: Sought) -> list[Candidate]:
        """Rank once more by how alike the headings are: of frequent questions, they say it all."""
        liked = [(self._asking.likeness(sought, one.passage.heading), one) for one in words]
        return [one for like, one in sorted(liked, key=lambda pair: -pair[0]) if like]

    async def _take(self, keys: Sequence[str]) -> None:
        """Fetch some documents and take them in; what arrives meanwhile is fetched again.

        One that cannot be fetched goes behind all others, so that it keeps none of them out.

        Raises:
            BrokerUnavailable: for the first that cannot.
        """
        said = {key: self._pending[key] for key in keys}
        room = asyncio.Semaphore(AT_ONCE)

        async def one(key: str) -> bytes | BrokerUnavailable | None:
            async with room:
                try:
                    return await self._objects.get(key) if said[key] else None
                except BrokerUnavailable as error:
                    return error

        fetched = dict(zip(keys, await asyncio.gather(*map(one, keys)), strict=True))
        stored = {
            key: one for key, one in fetched.items() if not isinstance(one, BrokerUnavailable)
        }
        await self._keep(stored, said)
        failures = [one for one in fetched.values() if isinstance(one, BrokerUnavailable)]
        for key in fetched.keys() - stored.keys():
            self._pending[key] = self._pending.pop(key)
        if failures:
            raise failures[0]

    async def _keep(self, stored: Mapping[str, bytes | None], said: Mapping[str, str]) -> None:
        await asyncio.to_thread(self._change, stored)
        for key, data in stored.items():
            self._note(key, data)
            if self._pending.get(key) in {said[key], self._digests.get(key, "")}:
                del self._pending[key]
        metrics.CHUNKS.set(len(self))

    def _change(self, stored: Mapping[str, bytes | None]) -> None:
        documents = {key: _read(key, data) for key, data in stored.items()}
        for name, index in self._indices.items():
            mine = {key: one for key, one in documents.items() if collection_of(key) == name}
            if mine:
                index.change(mine)

    def _note(self, key: str, data: bytes | None) -> None:
        if data is None:
            self._digests.pop(key, None)
        else:
            self._digests[key] = object_digest(data)
        log.info("knowledge.taken", extra={"key": key, "bytes": len(data or b"")})


def _read(key: str, data: bytes | None) -> Document | None:
    """Read a document; one that cannot be read is as if it were not there."""
    if data is None:
        return None
    try:
        return decode_document(data)
    except msgspec.MsgspecError as error:
        log.error("knowledge.unreadable", extra={"key": key, "detail": str(error)[:200]})
        return None


def _candidate(place: Place, similarity: float = 0.0) -> Candidate:
    document, chunk = place.found
    passage = Passage(document.key, document.title, chunk.heading, chunk.text, chunk.place)
    return Candidate(passage, similarity)
