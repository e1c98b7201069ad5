"""Stored conversations outlive releases."""

import msgspec
import pytest
from queqiao_common.errors import Postponed
from queqiao_common.events import Prompt, encode
from queqiao_common.testing import ACCOUNT, CONV
from queqiao_context.document import STEPS, VERSION, Conversation, read

TALK = Conversation(account=ACCOUNT, conv=CONV, version=VERSION, cursor=7)


def test_what_this_release_wrote_reads_as_it_was():
    assert read(encode(TALK)) == TALK


def test_every_version_has_its_step():
    assert sorted(STEPS) == list(range(1, VERSION))


def test_a_document_of_an_older_release_is_brought_up_to_date_step_by_step():
    old = msgspec.json.encode({"account": ACCOUNT, "conv": CONV, "last": 7})
    steps = {
        1: lambda table: table | {"position": table.pop("last")},
        2: lambda table: table | {"cursor": table.pop("position")},
    }

    assert read(old, version=3, steps=steps) == Conversation(
        account=ACCOUNT, conv=CONV, version=3, cursor=7
    )


def test_a_document_of_a_newer_release_is_left_to_its_replicas():
    """During an upgrade: read as ours it would be misunderstood, and written back broken."""
    newer = msgspec.json.encode({"account": ACCOUNT, "conv": CONV, "version": VERSION + 1})

    with pytest.raises(Postponed, match="version"):
        read(newer)


def test_a_field_of_a_newer_release_is_ignored():
    table = msgspec.json.decode(encode(TALK)) | {"mood": "good"}

    assert read(msgspec.json.encode(table)) == TALK


def test_a_document_of_the_first_release_has_nothing_of_what_is_new():
    """As it was stored, with a turn in flight: whoever reads it goes on from there."""
    waiting = {"msgid": "m_1", "received_ms": 5}
    first = {
        "account": ACCOUNT,
        "conv": CONV,
        "openid": "oUSER",
        "cursor": 7,
        "turns": 3,
        "turn": {
            "number": 3,
            "kind": "question",
            "question": "问",
            "waiting": [waiting],
            "deadline_ms": 9,
            "attempt": 1,
            "pieces": [{"number": 1, "text": "乙"}],
        },
        "queue": [{"kind": "notice", "text": "欢迎", "waiting": [waiting]}],
        "history": [{"role": "user", "content": "甲"}],
    }

    talk = read(msgspec.json.encode(first))

    assert (talk.version, talk.cursor, talk.turn.pieces[0].text) == (VERSION, 7, "乙")
    assert (talk.persona, talk.handed, talk.summary, talk.forgotten) == ("", None, "", 0)
    assert talk.history == (Prompt("user", "甲"),)
    assert read(encode(talk)) == talk
