import logging
from dataclasses import dataclass, field

import msgspec
import pytest
from queqiao_common.errors import SettingsError
from queqiao_common.events import Verdict
from queqiao_common.settings import Moderation, WordList
from queqiao_common.testing import MemoryDocuments
from queqiao_moderation.lists import ListDocument, LiveLists, parse_words


@dataclass
class Written:
    """A write to the bucket, as the broker reports it."""

    subject: str
    data: bytes = b""
    headers: dict[str, str] | None = None
    reply: str = ""


@dataclass
class Broker:
    """Names the subjects of the bucket."""

    subjects: dict[str, int] = field(default_factory=dict)

    async def api(self, verb, body=None):
        return msgspec.json.encode({"state": {"subjects": self.subjects}})


def change(name, **document):
    return Written(f"$KV.policy.words.{name}", msgspec.json.encode(document))


def verdict(lists, text):
    return lists.policy.judge(text, "in").verdict


def test_a_file_holds_one_word_a_line():
    body = "\ufeff赌博\r\n\n# 注释\n加微信  # 广告\n".encode()

    assert parse_words(body, "words.txt") == ("赌博", "加微信")


def test_every_wrong_line_is_named_by_file_and_number():
    body = "赌博\n".encode() + b"\xff\xfe\n" + b"x" * 101 + b"\n"

    with pytest.raises(SettingsError) as error:
        parse_words(body, "words.txt")

    assert error.value.problems == (
        "words.txt:2: not UTF-8",
        "words.txt:3: longer than 100 characters",
    )


def test_a_configured_list_has_its_words_and_those_of_its_file(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("赌博\n", encoding="utf-8")
    configured = WordList(name="a", words=("加微信",), file=str(file))

    lists = LiveLists(Moderation(lists=(configured,)))

    assert verdict(lists, "赌 博") is Verdict.BLOCKED
    assert verdict(lists, "加微信") is Verdict.BLOCKED


def test_all_files_that_cannot_be_read_are_named(tmp_path):
    missing = [WordList(name=name, file=str(tmp_path / name)) for name in ("a", "b")]

    with pytest.raises(SettingsError) as error:
        LiveLists(Moderation(lists=tuple(missing)))

    assert len(error.value.problems) == 2


def test_a_written_list_replaces_the_configured_one_until_it_is_deleted():
    lists = LiveLists(Moderation(lists=(WordList(name="a", words=("赌博",)),)))

    lists.hear(change("a", action="mask", words=["加微信"]))

    assert verdict(lists, "赌博") is Verdict.PASS
    assert verdict(lists, "加微信") is Verdict.MASKED

    lists.hear(Written("$KV.policy.words.a", headers={"KV-Operation": "DEL"}))

    assert verdict(lists, "赌博") is Verdict.BLOCKED


def test_a_list_can_be_added_and_taken_away():
    lists = LiveLists(Moderation())

    lists.hear(change("new", words=["赌博"]))
    assert verdict(lists, "赌博") is Verdict.BLOCKED

    lists.hear(Written("$KV.policy.words.new", headers={"KV-Operation": "PURGE"}))
    assert verdict(lists, "赌博") is Verdict.PASS


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b'{"words": ["\xff"]}', b'{"wrods": ["x"]}', b'{"action": "burn"}']
)
def test_a_broken_document_keeps_the_old_list_and_is_reported(body, caplog):
    """A typing error of an operator must not switch moderation off."""
    lists = LiveLists(Moderation(lists=(WordList(name="a", words=("赌博",)),)))

    with caplog.at_level(logging.ERROR):
        lists.hear(Written("$KV.policy.words.a", body))

    assert verdict(lists, "赌博") is Verdict.BLOCKED
    assert [record.message for record in caplog.records] == ["words.unreadable"]


def test_other_keys_of_the_bucket_are_none_of_our_business():
    lists = LiveLists(Moderation())

    lists.hear(Written("$KV.policy.something", b"nonsense"))

    assert verdict(lists, "赌博") is Verdict.PASS


async def test_what_was_written_before_holds_from_the_first_message_on():
    """A restarted replica must not let through what the others refuse."""
    documents = MemoryDocuments[ListDocument]()
    await documents.create("words.a", ListDocument(words=("赌博",)))
    lists = LiveLists(Moderation())

    await lists.catch_up(Broker({"$KV.policy.words.a": 1}), documents)

    assert verdict(lists, "赌博") is Verdict.BLOCKED
