"""What operators do to a broker: dead letters, topology, one user's data."""

import argparse
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from msgspec import structs
from queqiao_cli import conversations, dead, topology
from queqiao_cli.stored import entries
from queqiao_common import provision
from queqiao_common.bus import Bus, connect
from queqiao_common.claims import Claim, claim_key
from queqiao_common.events import DeadLetter, encode
from queqiao_common.ids import conversation_id
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.settings import Nats
from queqiao_common.testing import delivery, inbound, request, screened, segment
from queqiao_common.topology import (
    ANSWERS,
    BUCKETS,
    CHAT,
    CLAIMS,
    CONVERSATIONS,
    CURSORS,
    DEAD,
    DISPLAYS,
    LLM,
    LOADS,
    PAGES,
    POLICY,
    REPLY,
    STREAMS,
    TOKENS,
)
from queqiao_context.document import Conversation

pytestmark = pytest.mark.broker

OTHER = "c_zzzzzzzzzzzzzzzzzzzzzzzzzz"
MINE = conversation_id(pepper="pepper", account="main", openid="oUSER")


@pytest.fixture
async def bus(nats_url) -> AsyncIterator[Bus]:
    bus = await connect(Nats(url=nats_url), "test")
    await provision.apply_patiently(bus, scale=0.01)
    yield bus
    # Deleted rather than purged: a purge would leave the ids that the next test uses again.
    for stream in [one.name for one in STREAMS] + [one.stream for one in BUCKETS]:
        await bus.api(f"STREAM.DELETE.{stream}")
    await bus.close()


@pytest.fixture
def options(nats_url, tmp_path: Path) -> argparse.Namespace:
    file = tmp_path / "queqiao.toml"
    file.write_text(
        f'[nats]\nurl = "{nats_url}"\nstream_bytes = 0.01\n'
        '[[accounts]]\nid = "main"\nappid = "wx1"\ntoken = "abcdef"\n'
        '[privacy]\npepper = "pepper"\n'
    )
    return argparse.Namespace(
        config=file, account="main", openid="oUSER", yes=False, body=False, all=False, ids=[], id=0
    )


async def bury(bus: Bus, text: str, sequence: int = 1, conv: str = MINE) -> int:
    message = inbound(text, conv=conv)
    letter = DeadLetter(
        id=f"dead:moderation-inbound:{sequence}",
        account="main",
        subject=f"chat.inbound.main.{conv}",
        stream="CHAT",
        sequence=sequence,
        consumer="moderation-inbound",
        reason="ValueError on the last of 8 attempts",
        attempts=8,
        body=encode(message),
        headers={"Nats-Msg-Id": message.id, "traceparent": "00-aa-bb-01"},
    )
    return (await bus.publish_event(letter)).seq


async def held(bus: Bus, stream: str, subject: str = ">") -> list[str]:
    return [entry.subject async for entry in entries(bus, stream, subject)]


async def test_dead_letters_are_listed_without_what_was_said(bus, options, capsys):
    number = await bury(bus, "a secret")

    assert await dead.list_letters(options) == 0

    out = capsys.readouterr().out
    head, row = out.splitlines()
    assert head.split() == ["ID", "ACCOUNT", "CONSUMER", "TRIES", "AGE", "REASON"]
    assert row.split()[:4] == [str(number), "main", "moderation-inbound", "8"]
    assert row.endswith("ValueError on the last of 8 attempts")
    assert "a secret" not in out


async def test_a_body_is_shown_only_when_asked_for(bus, options, capsys):
    options.id = await bury(bus, "a secret")

    await dead.show(options)
    without = capsys.readouterr().out
    options.body = True
    await dead.show(options)

    assert "a secret" not in without
    assert "a secret" in capsys.readouterr().out


async def test_a_replayed_event_is_back_on_its_subject_and_its_letter_gone(bus, options):
    number = await bury(bus, "again")
    options.ids = [number]

    assert await dead.replay(options) == 0

    [entry] = [entry async for entry in entries(bus, CHAT.name, "chat.inbound.>")]
    assert json.loads(entry.data)["text"] == "again"
    assert await held(bus, DEAD.name) == []


async def test_a_replay_is_stored_although_its_id_was_seen(bus, options):
    """The stream drops repeats of an id for a quarter of an hour."""
    await bus.publish_event(inbound("again", conv=MINE))
    options.ids = [await bury(bus, "again")]

    await dead.replay(options)

    assert len(await held(bus, CHAT.name)) == 2


def test_what_failed_on_the_way_to_its_turn_is_replayed_from_its_message():
    """Its conversation was told that it failed and goes on behind it: nothing would happen."""
    message = inbound("again")
    lost = DeadLetter(
        id="dead:context-screened:7",
        account="main",
        subject=f"chat.screened.main.{MINE}",
        stream="CHAT",
        sequence=7,
        consumer="context-screened",
        reason="why",
        attempts=8,
        body=encode(screened(message)),
    )

    subject, body = dead.beginning(lost)

    assert (subject, body) == (f"chat.inbound.main.{message.conv}", encode(message))
    unreadable = structs.replace(lost, body=b"junk")
    assert dead.beginning(unreadable) == (lost.subject, b"junk")


async def test_all_letters_can_be_dropped_but_only_on_purpose(bus, options, capsys):
    await bury(bus, "one", 1)
    await bury(bus, "two", 2)

    assert await dead.drop(options) == 2
    assert len(await held(bus, DEAD.name)) == 2
    options.all = True
    assert await dead.drop(options) == 0

    assert await held(bus, DEAD.name) == []
    assert "dropped" in capsys.readouterr().out


async def test_a_letter_that_does_not_exist_is_said_so(bus, options, capsys):
    options.id, options.ids = 77, [77]

    assert await dead.show(options) == 1
    assert await dead.drop(options) == 1
    assert "77" in capsys.readouterr().err


def test_each_replay_has_a_new_id_and_its_repeat_the_same():
    assert dead.next_id("wx:main:7") == "wx:main:7:replay-1"
    assert dead.next_id("wx:main:7:replay-1") == "wx:main:7:replay-2"
    assert dead.next_id("wx:main:7:replay-9") == "wx:main:7:replay-10"


def test_a_replay_keeps_its_trace_but_no_order_to_the_broker():
    """An old `Nats-Schedule` or expected sequence would make the publish fail, or worse, work."""
    headers = {"traceparent": "00-aa-bb-01", "Nats-Msg-Id": "x", "nats-schedule": "@at 2026"}

    assert dead.kept_headers(headers) == {"traceparent": "00-aa-bb-01"}


async def populate(bus: Bus, conv: str, msgid: str) -> None:
    """Leave every kind of trace that a user leaves."""
    message = inbound("my question", conv=conv, msgid=msgid)
    turn = f"main.{conv}.1"
    await bus.publish_event(message)
    await bus.publish_event(screened(message, conv=conv))
    await bus.publish_event(request("my question", id=f"req:{turn}", conv=conv, turn_id=turn))
    await bus.publish_event(segment("my answer", id=f"rep:{turn}", conv=conv, turn_id=turn))
    await bus.publish_event(delivery("my answer", id=f"{turn}.1", conv=conv, turn_id=turn))
    await bury(bus, "my question", sequence=len(msgid), conv=conv)
    claims = JetStreamDocuments(bus, CLAIMS, Claim)
    await claims.create(claim_key("main", msgid), Claim(kind="reply", answer="my answer"))
    talks = JetStreamDocuments(bus, CONVERSATIONS, Conversation)
    talk = Conversation(account="main", conv=conv, openid="oUSER", turns=3)
    await talks.create(talk.key, talk)


async def everywhere(bus: Bus) -> dict[str, list[str]]:
    streams = (CHAT.name, LLM.name, REPLY.name, DEAD.name, CLAIMS.stream, CONVERSATIONS.stream)
    return {stream: await held(bus, stream) for stream in streams}


async def test_a_forgotten_user_leaves_nothing_and_the_others_stay(bus, options, capsys):
    """The right to be forgotten: prompts, answers and dead letters hold their words too."""
    await populate(bus, OTHER, "m_2")
    before = await everywhere(bus)
    await populate(bus, MINE, "m_10")
    options.yes = True

    assert await conversations.forget(options) == 0

    assert await everywhere(bus) == before
    assert "8 entries erased" in capsys.readouterr().out


async def test_nothing_is_forgotten_without_a_yes(bus, options, capsys):
    await populate(bus, MINE, "m_1")
    before = await everywhere(bus)

    assert await conversations.forget(options) == 1

    assert await everywhere(bus) == before
    assert "8 entries would be erased" in capsys.readouterr().err


async def test_an_export_holds_all_of_it_as_json(bus, options, capsys):
    await populate(bus, MINE, "m_1")
    await populate(bus, OTHER, "m_22")

    await conversations.export(options)

    copy = json.loads(capsys.readouterr().out)
    assert copy["conversations"]["turns"] == 3
    assert copy["mailbox"] is None
    assert {event["subject"].split(".")[0] for event in copy["events"]} == {
        "chat",
        "llm",
        "reply",
        "dead",
    }
    assert OTHER not in json.dumps(copy)


async def test_a_summary_has_numbers_and_no_words(bus, options, capsys):
    await populate(bus, MINE, "m_1")

    await conversations.show(options)

    out = capsys.readouterr().out
    assert MINE in out
    assert "last turn     3" in out
    assert "my question" not in out


async def test_a_user_of_whom_nothing_is_kept_can_be_asked_for(bus, options, capsys):
    await conversations.show(options)

    assert "document      none" in capsys.readouterr().out


def test_every_stream_and_bucket_is_searched_for_a_user():
    """A new place for personal data that nobody told `forget` about would be kept for ever."""
    nobodys = {one.stream for one in (TOKENS, ANSWERS, POLICY, LOADS, CURSORS)}
    searched = {place.stream for place in conversations.places(conversations.User("main", MINE))}

    known = {one.name for one in STREAMS} | {one.stream for one in BUCKETS}
    beside = {one.stream for one in (CLAIMS, DISPLAYS, PAGES)}
    assert searched | beside == known - nobodys


async def test_a_broker_that_is_as_it_shall_be_differs_in_nothing(bus, options, capsys):
    assert await topology.show(options) == 0

    out = capsys.readouterr().out
    assert "moderation-inbound" in out
    assert "is as it shall be" in out


async def test_what_differs_is_shown_and_mended(bus, options, capsys):
    config = provision.stream_config(LLM, scale=0.01)
    await bus.api("STREAM.UPDATE.LLM", config | {"max_age": 3_600_000_000_000})
    await bus.api("CONSUMER.DELETE.LLM.llm-requests")

    await topology.show(options)
    out = capsys.readouterr().out
    await topology.apply(options)
    changes = capsys.readouterr().out

    assert "LLM: max_age is 3600000000000, shall be 259200000000000" in out
    assert "llm-requests: missing" in out
    assert "LLM: max_age" in changes
    assert await topology.differing(bus, replicas=1, scale=0.01) == []


def test_an_event_that_cannot_be_read_is_exported_all_the_same():
    entry = msgspec.convert(
        {"subject": "a.b", "seq": 1, "time": "2026-01-01T00:00:00Z", "data": "AP8="},
        type=conversations.Entry,
    )

    assert conversations.exported(entry)["event"] == "AP8="
