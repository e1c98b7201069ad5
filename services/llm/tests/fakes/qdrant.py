"""Qdrant without a server: its official client's own models read our REST calls, and its engine in
memory answers them. What Qdrant does not know, they refuse."""

import json
import re

import httpx
from pydantic import BaseModel
from qdrant_client import QdrantClient
from qdrant_client.http import models

KEY = "right-key"


class Engine:
    """Answers requests as Qdrant does; `calls` are their methods and paths."""

    def __init__(self) -> None:
        self.client = QdrantClient(":memory:")
        self.calls: list[str] = []
        self.status = 0

    def http(self) -> httpx.AsyncClient:
        """Return a client whose every request comes here."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.calls.append(f"{request.method} {request.url.path}")
        if self.status:
            return httpx.Response(self.status)
        if request.headers.get("api-key") != KEY:
            return httpx.Response(401)
        name, rest = re.fullmatch(r"/collections/(\w+)(.*)", request.url.path).groups()
        body = json.loads(request.content) if request.content else {}
        result = getattr(self, _NAMES[request.method, rest])(name, body)
        return httpx.Response(200, json={"result": result, "status": "ok", "time": 0.0})

    def exists(self, name: str, _: object) -> object:
        return {"exists": self.client.collection_exists(name)}

    def create(self, name: str, body: dict[str, object]) -> object:
        wanted = models.CreateCollection(**body)
        return self.client.create_collection(
            name, vectors_config=wanted.vectors, sparse_vectors_config=wanted.sparse_vectors
        )

    def index(self, _: str, body: dict[str, object]) -> object:
        return bool(models.CreateFieldIndex(**body))  # the engine in memory needs none

    def upsert(self, name: str, body: dict[str, object]) -> object:
        self.client.upsert(name, models.PointsList(**body).points)
        return True

    def delete(self, name: str, body: dict[str, object]) -> object:
        self.client.delete(name, models.FilterSelector(**body))
        return True

    def query(self, name: str, body: dict[str, object]) -> object:
        wanted = models.QueryRequest(**body)
        found = self.client.query_points(
            name,
            query=wanted.query,
            using=wanted.using,
            prefetch=wanted.prefetch,
            query_filter=wanted.filter,
            limit=wanted.limit or 10,
            with_payload=bool(wanted.with_payload),
        )
        return _json(found)


def _json(model: BaseModel) -> object:
    return model.model_dump(mode="json")


_NAMES = {
    ("GET", "/exists"): "exists",
    ("PUT", ""): "create",
    ("PUT", "/index"): "index",
    ("PUT", "/points"): "upsert",
    ("POST", "/points/delete"): "delete",
    ("POST", "/points/query"): "query",
}
