import httpx
import pytest
from queqiao_common.errors import PermanentError, TransientError
from queqiao_llm.knowledge.asking import Asking
from queqiao_llm.knowledge.embedding import packed
from queqiao_llm.knowledge.passages import judged
from queqiao_llm.knowledge.qdrant import Qdrant

from services.llm.tests.knowledge.documents import LIMITS, document

pytest.importorskip("qdrant_client", reason="the official client is the strict fake")
from services.llm.tests.fakes.qdrant import KEY, Engine

ASKING = Asking()
PIPES = {"管道堵了": "请拨打报修电话。", "水费怎么交": "在公众号菜单里缴费。"}


@pytest.fixture
def engine():
    return Engine()


def store(engine, key=KEY):
    return Qdrant(
        engine.http(), url="http://qdrant:6333/", api_key=key, collection="queqiao", timeout=1
    )


async def found(qdrant, question, *collections, vector=None):
    sought = ASKING.sought(question)
    candidates = await qdrant.candidates(collections or ("faq",), sought, vector)
    return [one.heading for one in judged(candidates, sought, ASKING, LIMITS)]


async def test_what_was_put_is_found_by_its_words(engine):
    qdrant = store(engine)
    await qdrant.prepare()
    await qdrant.put("faq/a.csv", document())
    await qdrant.put("home/b.csv", document(chunks=PIPES))

    assert await found(qdrant, "请问退款多久能到账") == ["退款多久到账"]
    assert await found(qdrant, "水费怎么交") == []
    assert await found(qdrant, "水费怎么交", "faq", "home") == ["水费怎么交"]


async def test_a_document_takes_the_place_of_its_older_self_and_can_be_forgotten(engine):
    qdrant = store(engine)
    await qdrant.prepare()
    await qdrant.put("faq/a.csv", document())
    await qdrant.put("faq/a.csv", document(chunks=PIPES))

    assert await found(qdrant, "退款多久到账") == []
    assert await found(qdrant, "水费怎么交") == ["水费怎么交"]
    await qdrant.delete("faq/a.csv")
    assert await found(qdrant, "水费怎么交") == []


async def test_words_and_meaning_are_searched_together(engine):
    qdrant = store(engine)
    vectors = packed([[1.0, 0.0], [0.0, 1.0]])
    await qdrant.prepare(2)
    await qdrant.put("home/b.csv", document(chunks=PIPES, dimensions=2, vectors=vectors))

    assert await found(qdrant, "下不去水啦", "home", vector=[1.0, 0.0]) == ["管道堵了"]


async def test_it_is_prepared_once(engine):
    qdrant = store(engine)
    await qdrant.prepare()
    await qdrant.prepare()

    assert engine.calls.count("PUT /collections/queqiao") == 1


@pytest.mark.parametrize(("status", "error"), [(503, TransientError), (400, PermanentError)])
async def test_a_refusal_is_told_apart_from_an_outage(engine, status, error):
    engine.status = status

    with pytest.raises(error):
        await found(store(engine), "退款")


async def test_a_wrong_key_is_refused(engine):
    with pytest.raises(PermanentError, match="401"):
        await found(store(engine, "wrong"), "退款")


async def test_an_unreachable_store_is_an_outage():
    def refuse(_):
        raise httpx.ConnectError("refused")

    http = httpx.AsyncClient(transport=httpx.MockTransport(refuse))
    qdrant = Qdrant(http, url="http://qdrant:6333", collection="queqiao", timeout=1)

    with pytest.raises(TransientError, match="ConnectError"):
        await found(qdrant, "退款")
