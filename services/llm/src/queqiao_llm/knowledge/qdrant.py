"""Passages in Qdrant, by its REST interface: for more chunks than a process should hold.

A point is a chunk. Its sparse vector `words` holds its terms, weighted by Qdrant's own inverse
document frequencies; its dense vector `meaning` is there when an embedding model is configured.
Both rankings are fused by Qdrant. The truth stays in the object store `knowledge`: a collection
here can be dropped and filled again by `queqiao knowledge sync`.
"""

import struct
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import msgspec
from msgspec import Struct
from queqiao_common.errors import PermanentError, TransientError
from queqiao_common.knowledge import Chunk, Document, collection_of, terms_of

from queqiao_llm.knowledge.asking import Sought
from queqiao_llm.knowledge.passages import CANDIDATES, Candidate, Passage

WORDS, MEANING = "words", "meaning"
BATCH = 200
"""Points in one call."""


class _Payload(Struct):
    key: str
    title: str
    heading: str
    text: str
    place: str = ""


class _Point(Struct):
    payload: _Payload
    score: float = 0.0


class _Points(Struct):
    points: list[_Point]


class _Answer(Struct):
    result: _Points


_decode = msgspec.json.Decoder(_Answer).decode


class Qdrant:
    """One collection of Qdrant, which holds all of ours."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        url: str,
        api_key: str = "",
        collection: str,
        timeout: float,
    ) -> None:
        self._http = http
        self._base = f"{url.rstrip('/')}/collections/{collection}"
        self._headers = {"api-key": api_key} if api_key else {}
        self._timeout = timeout

    async def candidates(
        self, collections: Sequence[str], sought: Sought, vector: Sequence[float] | None
    ) -> list[Candidate]:
        """Return the chunks that may answer, the best first.

        Raises:
            TransientError: Qdrant does not answer.
            PermanentError: it refuses.
        """
        filter_ = {"must": [{"key": "collection", "match": {"any": list(collections)}}]}
        words = {
            "query": {"indices": list(sought.terms), "values": list(sought.terms.values())},
            "using": WORDS,
            "limit": CANDIDATES,
            "filter": filter_,
        }
        common = {"with_payload": True, "filter": filter_, "limit": CANDIDATES}
        if vector is None:
            return [Candidate(_passage(one)) for one in await self._query(words | common)]
        meaning = {"query": list(vector), "using": MEANING, "limit": CANDIDATES}
        similar = {
            (one.payload.key, one.payload.heading, one.payload.text): one.score
            for one in await self._query(meaning | common)
        }
        both = {"prefetch": [words, meaning | {"filter": filter_}], "query": {"fusion": "rrf"}}
        return [
            Candidate(
                _passage(one),
                similar.get((one.payload.key, one.payload.heading, one.payload.text), 0.0),
            )
            for one in await self._query(both | common)
        ]

    async def prepare(self, dimensions: int = 0) -> None:
        """Create the collection if there is none; `dimensions` 0: without vectors of meaning."""
        exists = await self._call("GET", "/exists")
        if msgspec.json.decode(exists)["result"]["exists"]:
            return
        dense = {MEANING: {"size": dimensions, "distance": "Cosine"}} if dimensions else {}
        await self._call(
            "PUT", "", {"vectors": dense, "sparse_vectors": {WORDS: {"modifier": "idf"}}}
        )
        for field in ("collection", "key"):
            await self._call(
                "PUT", "/index?wait=true", {"field_name": field, "field_schema": "keyword"}
            )

    async def put(self, key: str, document: Document) -> None:
        """Store a document in the place of an older one of this key."""
        await self.delete(key)
        points = list(_points(key, document))
        for start in range(0, len(points), BATCH):
            await self._call("PUT", "/points?wait=true", {"points": points[start : start + BATCH]})

    async def delete(self, key: str) -> None:
        """Forget a document."""
        filter_ = {"must": [{"key": "key", "match": {"value": key}}]}
        await self._call("POST", "/points/delete?wait=true", {"filter": filter_})

    async def _query(self, body: Mapping[str, Any]) -> list[_Point]:
        answer = await self._call("POST", "/points/query", body)
        try:
            return _decode(answer).result.points
        except msgspec.MsgspecError as error:
            raise PermanentError("Qdrant answered something else than points") from error

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        try:
            answer = await self._http.request(
                method,
                self._base + path,
                json=body,
                headers=self._headers,
                timeout=self._timeout,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransientError(f"Qdrant: {type(error).__name__}") from error
        if answer.status_code >= 500 or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise TransientError(f"Qdrant: status {answer.status_code}")
        if not answer.is_success:
            raise PermanentError(f"Qdrant refused {method} {path or '/'}: {answer.status_code}")
        return answer.content


def _points(key: str, document: Document) -> Iterator[dict[str, Any]]:
    for number, chunk in enumerate(document.chunks):
        vectors: dict[str, Any] = {WORDS: _words(chunk)}
        if document.dimensions:
            vectors[MEANING] = _meaning(document, number)
        yield {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"queqiao:{key}#{number}")),
            "vector": vectors,
            "payload": {
                "collection": collection_of(key),
                "key": key,
                "title": document.title,
                "heading": chunk.heading,
                "text": chunk.text,
                "place": chunk.place,
            },
        }


def _words(chunk: Chunk) -> dict[str, list[Any]]:
    """Return the terms of a chunk, each with how soon its repetitions count no more (BM25)."""
    counts = Counter(terms_of(chunk))
    return {
        "indices": list(counts),
        "values": [count * 2.2 / (count + 1.2) for count in counts.values()],
    }


def _meaning(document: Document, number: int) -> list[float]:
    size = 2 * document.dimensions
    return list(struct.unpack_from(f"<{document.dimensions}e", document.vectors, number * size))


def _passage(point: _Point) -> Passage:
    one = point.payload
    return Passage(one.key, one.title, one.heading, one.text, one.place)
