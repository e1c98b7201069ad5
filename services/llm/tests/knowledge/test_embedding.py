import json

import httpx
import pytest
from queqiao_common.settings import Model, Secret
from queqiao_llm.knowledge.embedding import BATCH, Embedder, NotEmbeddedError, packed, unit

MODEL = Model(id="e", base_url="http://model/v1/", model="some", api_key=Secret("k"))


def answers(handle):
    return Embedder(httpx.AsyncClient(transport=httpx.MockTransport(handle)), MODEL)


def by_length(request):
    assert request.url == "http://model/v1/embeddings"
    assert request.headers["authorization"] == "Bearer k"
    texts = json.loads(request.content)["input"]
    vectors = [{"index": at, "embedding": [float(len(one)), 0]} for at, one in enumerate(texts)]
    return httpx.Response(200, json={"data": vectors[::-1], "model": "some"})


async def test_each_text_gets_its_vector_in_batches_that_providers_take():
    texts = ["x" * (number + 1) for number in range(BATCH + 3)]

    vectors = await answers(by_length).embed(texts)

    assert vectors == [[1.0, 0.0]] * len(texts)


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(500),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"data": []}),
        httpx.Response(200, json={"data": [{"embedding": "base64"}]}),
    ],
)
async def test_anything_else_than_vectors_is_an_error(response):
    with pytest.raises(NotEmbeddedError):
        await answers(lambda _: response).embed(["x"])


async def test_an_unreachable_endpoint_is_an_error():
    def refuse(_):
        raise httpx.ConnectError("refused")

    with pytest.raises(NotEmbeddedError, match="ConnectError"):
        await answers(refuse).embed(["x"])


def test_vectors_are_packed_as_documents_keep_them():
    assert unit([3.0, 4.0]) == [0.6, 0.8]
    assert unit([0.0]) == [0.0]
    assert packed([[1.0, 0.0]]) == b"\x00\x3c\x00\x00"
