import asyncio

import pytest
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.testing import MemoryObjects
from queqiao_llm.knowledge.asking import Asking
from queqiao_llm.knowledge.library import Library

from services.llm.tests.knowledge.documents import Told, document, filled, put


async def found(library, question, *collections):
    sought = Asking().sought(question)
    candidates = await library.candidates(collections or ("faq",), sought, None)
    return [one.passage.heading for one in candidates]


@pytest.fixture
def objects():
    return MemoryObjects()


async def test_what_is_stored_is_found_after_a_start(objects):
    await put(objects, "faq/a.csv", document())

    library = await filled(objects)

    assert (await found(library, "退款多久到账"))[0] == "退款多久到账"
    assert library.loaded.is_set()


async def test_a_change_is_found_after_it_was_heard(objects):
    await put(objects, "faq/a.csv", document())
    library = await filled(objects)

    library.hear(await put(objects, "faq/a.csv", document(chunks={"怎么换货": "联系客服。"})))
    await library.refresh()

    assert await found(library, "退款多久到账") == []
    assert await found(library, "怎么换货") == ["怎么换货"]


async def test_a_deletion_is_a_change(objects):
    await put(objects, "faq/a.csv", document())
    library = await filled(objects)
    before = library.version(["faq"])

    library.hear(await put(objects, "faq/a.csv", None))
    await library.refresh()

    assert await found(library, "退款多久到账") == []
    assert library.version(["faq"]) != before


async def test_only_the_collections_of_personas_are_taken_in(objects):
    await put(objects, "other/a.csv", document())
    library = await filled(objects, "faq")
    library.hear(await put(objects, "other/b.csv", document()))
    await library.refresh()

    assert len(library) == 0
    assert await found(library, "退款多久到账", "faq", "other") == []


async def test_two_replicas_with_the_same_documents_have_the_same_version(objects):
    """The cache of answers is shared: its keys must be, too."""
    await put(objects, "faq/a.csv", document())
    one, other = await filled(objects), await filled(objects, indexed=False)
    other.hear(await put(objects, "faq/a.csv", document()))
    await other.refresh()

    assert one.version(["faq"]) == other.version(["faq"]) != "0"


async def test_what_cannot_be_read_is_as_if_it_were_not_there(objects):
    await put(objects, "faq/a.csv", document())
    await objects.put("faq/b.csv", b"\xc1")

    library = await filled(objects)
    library.hear(Told(b"not json"))

    assert len(library) == 3


class Away(MemoryObjects):
    """An object store that fails once for each document."""

    def __init__(self):
        super().__init__()
        self.failed = set()

    async def get(self, key):
        if key not in self.failed:
            self.failed.add(key)
            raise BrokerUnavailable("gone fishing")
        return await super().get(key)


async def test_what_could_not_be_fetched_is_fetched_the_next_time():
    objects = Away()
    await put(objects, "faq/a.csv", document())
    library = Library(objects, Asking(), collections=["faq"])

    with pytest.raises(BrokerUnavailable):
        await library.refresh()
    assert not library.loaded.is_set()
    await library.refresh()

    assert len(library) == 3


async def test_one_that_cannot_be_fetched_keeps_no_other_out(objects):
    await put(objects, "faq/a.csv", document())
    await put(objects, "faq/b.csv", document(chunks={"怎么换货": "联系客服。"}))
    library, get = Library(objects, Asking(), collections=["faq"]), objects.get

    async def broken(key):
        if key == "faq/a.csv":
            raise BrokerUnavailable("the digest does not match")
        return await get(key)

    objects.get = broken
    with pytest.raises(BrokerUnavailable):
        await library.refresh()

    assert await found(library, "怎么换货") == ["怎么换货"]


async def test_a_document_that_changes_while_it_is_fetched_is_fetched_again(objects):
    await put(objects, "faq/a.csv", document())
    library = Library(objects, Asking(), collections=["faq"])
    get = objects.get

    async def slow(key):
        stored = await get(key)
        library.hear(await put(objects, "faq/a.csv", document(chunks={"怎么换货": "联系客服。"})))
        await asyncio.sleep(0)
        return stored

    objects.get = slow
    await library.refresh()

    assert await found(library, "怎么换货") == ["怎么换货"]
