import pytest
from msgspec import structs
from queqiao_common.events import encode
from queqiao_common.testing import NOW_MS
from queqiao_llm.answers import Answer
from queqiao_llm.book import Book
from queqiao_llm.matching import Vocabulary

from services.llm.tests.fakes.cache import Clock

ANSWER = Answer(question="怎么退款", text="好。", created_ms=NOW_MS, expires_ms=NOW_MS + 1000)


class Raw:
    """A message as the client library hands it over."""

    reply = ""

    def __init__(self, key, data=b"", headers=None):
        self.subject = f"$KV.answers.{key}"
        self.data = data
        self.headers = headers


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def book(clock):
    return Book(Vocabulary(), limit=3, now_ms=clock)


def test_what_is_written_to_the_bucket_is_known_and_what_is_deleted_is_not(book):
    book.hear(Raw("main.shelf.a", encode(ANSWER)))
    before = book.at("main.shelf.a")
    book.hear(Raw("main.shelf.a", headers={"KV-Operation": "DEL"}))

    assert before == ANSWER
    assert book.at("main.shelf.a") is None
    assert book.nearest("main.shelf", "怎么退款") == []


def test_what_cannot_be_read_is_as_if_it_were_not_there(book):
    book.hear(Raw("main.shelf.a", encode(ANSWER)))
    book.hear(Raw("main.shelf.a", b"junk"))

    assert book.at("main.shelf.a") is None


def test_a_document_of_a_later_release_is_read(book):
    newer = encode(ANSWER).replace(b"{", b'{"colour":"red",', 1)
    book.hear(Raw("main.shelf.a", newer))

    assert book.at("main.shelf.a") == ANSWER


def test_a_search_sees_its_own_shelf_alone_and_nothing_that_has_expired(book, clock):
    book.note("main.shelf.a", ANSWER)
    book.note("main.other.b", ANSWER)

    assert [one.answer for one in book.nearest("main.shelf", "怎么退款")] == [ANSWER]
    clock.now_ms += 1000
    assert book.nearest("main.shelf", "怎么退款") == []


def test_a_lease_is_not_found_by_likeness(book):
    book.note("main.shelf.a", structs.replace(ANSWER, text="", writer="me"))

    assert book.nearest("main.shelf", "怎么退款") == []


def test_an_edited_answer_takes_the_place_of_the_old_one(book):
    book.note("main.shelf.a", ANSWER)
    book.note("main.shelf.a", structs.replace(ANSWER, text="更好。", pinned=True, expires_ms=0))

    assert [one.answer.text for one in book.nearest("main.shelf", "怎么退款")] == ["更好。"]


def test_no_more_is_remembered_than_the_limit(book):
    for number in range(5):
        book.note(f"main.shelf.{number}", ANSWER)
        book.use("main.shelf.0")

    assert book.at("main.shelf.0") is not None
    assert len(book.nearest("main.shelf", "怎么退款")) == 3


async def test_what_has_expired_is_swept_out(book, clock):
    book.note("main.shelf.a", ANSWER)
    clock.now_ms += 1000
    await book.sweep()

    assert book._answers == {}
    assert book._shelves == {}
