"""What operators do with the answers that everybody gets."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from queqiao_cli import cache
from queqiao_cli.stored import entries
from queqiao_common import provision
from queqiao_common.bus import Bus, connect
from queqiao_common.errors import PermanentError, SettingsError
from queqiao_common.events import CompletionRequest
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.settings import Nats, load
from queqiao_common.topology import ANSWERS, BUCKETS, LLM, STREAMS
from queqiao_llm.answers import Answer, key_of

CONFIG = """
[nats]
url = "{url}"
stream_bytes = 0.01
[[accounts]]
id = "main"
appid = "wx1"
token = "abcdef"
[[models]]
id = "m"
base_url = "http://model/v1"
model = "some-model"
"""
QUESTION = "怎么申请退款"


@pytest.fixture
async def bus(nats_url) -> AsyncIterator[Bus]:
    bus = await connect(Nats(url=nats_url), "test")
    await provision.apply_patiently(bus, scale=0.01)
    yield bus
    for stream in [one.name for one in STREAMS] + [one.stream for one in BUCKETS]:
        await bus.api(f"STREAM.DELETE.{stream}")
    await bus.close()


@pytest.fixture
def options(nats_url, tmp_path: Path) -> argparse.Namespace:
    config = tmp_path / "queqiao.toml"
    config.write_text(CONFIG.format(url=nats_url))
    file = tmp_path / "questions.txt"
    return argparse.Namespace(config=config, file=file, account=None, pin=False, text="")


def key(options, question=QUESTION):
    config = load(options.config)
    return key_of(cache.shelf(config, config.accounts[0]), question)


def documents(bus):
    return JetStreamDocuments(bus, ANSWERS, Answer, lives=cache.lives(cache._now_ms))


async def keep(bus, options, question=QUESTION, **fields) -> str:
    """Keep an answer and return its id."""
    expires = cache._now_ms() + 60_000
    answer = Answer(question=question, text="三天到账。", created_ms=1, expires_ms=expires)
    await documents(bus).create(key(options, question), msgspec.structs.replace(answer, **fields))
    return key(options, question).rpartition(".")[2]


@pytest.mark.broker
async def test_answers_are_listed_and_leases_are_not(bus, options, capsys):
    name = await keep(bus, options, hits=7)
    await keep(bus, options, "怎么开发票", text="", writer="somebody")

    assert await cache.list_answers(options) == 0

    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "ACCOUNT", "HITS", "KEPT", "SOURCE", "QUESTION"]
    assert row.split()[:3] == [name[:8], "main", "7"]
    assert row.endswith(QUESTION)


@pytest.mark.broker
async def test_an_answer_that_no_turn_can_find_any_more_is_marked(bus, options, capsys):
    """Another prompt or model answers anew; what operators wrote must be warmed again."""
    await keep(bus, options)
    options.config.write_text(options.config.read_text() + '[personas.assistant]\nprompt = "新"\n')

    await cache.list_answers(options)

    assert "unused" in capsys.readouterr().out


@pytest.mark.broker
async def test_one_is_shown_by_the_beginning_of_its_id(bus, options, capsys):
    options.id = (await keep(bus, options))[:5]

    assert await cache.show(options) == 0

    out = capsys.readouterr().out
    assert QUESTION in out
    assert out.endswith("三天到账。\n")


@pytest.mark.broker
async def test_a_pinned_answer_has_no_end(bus, options):
    options.ids = [await keep(bus, options)]

    await cache.pin(options)

    found = (await documents(bus).get(key(options))).value
    assert (found.pinned, found.expires_ms, found.text) == (True, 0, "三天到账。")


@pytest.mark.broker
async def test_an_edited_answer_is_the_operators_and_stays(bus, options):
    options.ids, options.text = [await keep(bus, options, hits=3)], " 七天到账。 "

    assert await cache.edit(options) == 0

    found = (await documents(bus).get(key(options))).value
    assert (found.text, found.source, found.pinned, found.hits) == (
        "七天到账。",
        "operator",
        True,
        3,
    )


@pytest.mark.broker
async def test_a_withdrawn_answer_leaves_only_word_that_it_is_gone(bus, options):
    """The word is for the replicas, which hold it in memory."""
    options.ids = [await keep(bus, options)]

    await cache.withdraw(options)

    left = [entry async for entry in entries(bus, ANSWERS.stream, "$KV.answers.>")]
    assert [entry.data for entry in left] == [b""]
    assert (await documents(bus).get(key(options))).value is None


@pytest.mark.broker
async def test_an_id_that_names_none_or_several_changes_nothing(bus, options):
    await keep(bus, options)
    await keep(bus, options, "怎么开发票")
    options.ids = ["nothing"]

    with pytest.raises(PermanentError, match="no answer has"):
        await cache.withdraw(options)
    options.ids = [""]
    with pytest.raises(PermanentError, match="2 answers have"):
        await cache.withdraw(options)


@pytest.mark.broker
async def test_given_answers_are_written_for_good(bus, options, capsys):
    options.file = options.file.with_suffix(".csv")
    options.file.write_text('question,answer\n怎么申请退款,"先登录，\n再点退款。"\n')

    assert await cache.warm(options) == 0

    found = (await documents(bus).get(key(options))).value
    assert (found.text, found.pinned, found.source) == ("先登录，\n再点退款。", True, "operator")


async def answering(bus):
    """Answer as the llm service does: what it keeps lies under the key of the question."""
    stored = None
    while stored is None:
        await asyncio.sleep(0.02)
        stored = await bus.read_next(LLM, "llm.request.*", 0)
    turn = msgspec.json.decode(stored.data, type=CompletionRequest)
    assert turn.conv == "warm"
    assert [one.role for one in turn.prompt] == ["system", "user"]
    return turn.prompt[-1].content


@pytest.mark.broker
async def test_the_other_answers_come_from_the_running_service(bus, options, capsys):
    options.file.write_text(f"# frequent\n\n{QUESTION}？\n")
    options.pin = True
    warming = asyncio.create_task(cache.warm(options))
    question = await answering(bus)
    await keep(bus, options, question, source="warm")

    assert await warming == 0

    found = (await documents(bus).get(key(options))).value
    assert (found.pinned, found.source) == (True, "warm")
    assert "3: answered" in capsys.readouterr().out


@pytest.mark.broker
async def test_what_is_not_for_everybody_is_refused_with_the_reason(bus, options, capsys):
    options.file.write_text("我的快递到哪了\n")

    assert await cache.warm(options) == 1

    assert "1: not for everybody (personal)" in capsys.readouterr().err


def test_a_file_may_have_comments_and_a_head(tmp_path):
    plain, table = tmp_path / "a.txt", tmp_path / "a.csv"
    plain.write_text("# no\n怎么退款, 怎么换货\n\n")
    table.write_text("\ufeffquestion,answer\n怎么退款,\n怎么换货,三天内。\n")

    assert list(cache.read(plain)) == [cache.Line(2, "怎么退款, 怎么换货")]
    assert list(cache.read(table)) == [
        cache.Line(2, "怎么退款"),
        cache.Line(3, "怎么换货", "三天内。"),
    ]
    with pytest.raises(SettingsError, match="cannot be read"):
        list(cache.read(tmp_path / "none.txt"))


def test_several_accounts_must_be_told_apart(options):
    second = '[[accounts]]\nid = "second"\nappid = "wx2"\ntoken = "abcdef"\n'
    options.config.write_text(options.config.read_text() + second)
    config = load(options.config)

    assert cache.find(config, "second").id == "second"
    with pytest.raises(SettingsError, match="main, second"):
        cache.find(config, None)
    with pytest.raises(SettingsError, match="main, second"):
        cache.find(config, "third")
