"""The meaning of texts as vectors, from an OpenAI-compatible `/embeddings` endpoint."""

import math
import struct
from collections.abc import Iterable, Sequence

import httpx
import msgspec
from msgspec import Struct
from queqiao_common.errors import TransientError
from queqiao_common.settings import Model

BATCH = 32
"""Texts in one call: some providers refuse more."""


class NotEmbeddedError(TransientError):
    """The endpoint gave no vectors."""


class _Vector(Struct):
    embedding: list[float]
    index: int = 0


class _Answer(Struct):
    data: list[_Vector]


_decode = msgspec.json.Decoder(_Answer).decode


class Embedder:
    """One model behind `/embeddings`."""

    def __init__(self, http: httpx.AsyncClient, model: Model) -> None:
        self.id = model.id
        self._http = http
        self._url = model.base_url.rstrip("/") + "/embeddings"
        self._model = model.model
        self._timeout = model.timeout
        key = model.api_key.reveal()
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of length 1 for each text, in their order.

        Raises:
            NotEmbeddedError: the endpoint did not answer, or not with a vector for each.
        """
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            vectors += await self._batch(texts[start : start + BATCH])
        if len({len(one) for one in vectors}) > 1:
            raise NotEmbeddedError("vectors of several sizes")
        return vectors

    async def _batch(self, texts: Sequence[str]) -> list[list[float]]:
        body = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        try:
            answer = await self._http.post(
                self._url, json=body, headers=self._headers, timeout=self._timeout
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotEmbeddedError(type(error).__name__) from error
        if not answer.is_success:
            raise NotEmbeddedError(f"status {answer.status_code}")
        try:
            found = _decode(answer.content).data
        except msgspec.MsgspecError as error:
            raise NotEmbeddedError("no vectors in the answer") from error
        if len(found) != len(texts):
            raise NotEmbeddedError(f"{len(found)} vectors for {len(texts)} texts")
        return [unit(one.embedding) for one in sorted(found, key=lambda one: one.index)]


def unit(vector: Sequence[float]) -> list[float]:
    """Return a vector of the same direction and of length 1."""
    length = math.sqrt(sum(number * number for number in vector)) or 1.0
    return [number / length for number in vector]


def packed(vectors: Iterable[Sequence[float]]) -> bytes:
    """Return vectors as a document keeps them: half-precision numbers, little endian."""
    return b"".join(struct.pack(f"<{len(one)}e", *one) for one in vectors)
