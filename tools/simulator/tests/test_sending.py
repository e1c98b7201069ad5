"""Escapes, the one part of a send that only the raw body shows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_simulator.refusals import Refused
from queqiao_simulator.sending import ESCAPE, outgoing
from queqiao_simulator.settings import SendRules


@given(st.text(alphabet=st.characters(min_codepoint=0x80, exclude_categories=["Cs"]), min_size=1))
def test_escaped_text_is_noticed_and_raw_text_is_not(text):
    assert ESCAPE.search(json.dumps(text).encode())
    assert not ESCAPE.search(json.dumps(text, ensure_ascii=False).encode())


@pytest.mark.parametrize("text", ["\x01", '"', "\\u4f60", "a\\"])
def test_ascii_may_be_escaped(text):
    assert not ESCAPE.search(json.dumps(text, ensure_ascii=False).encode())


def read(kind, content, **more):
    call = {"msgtype": kind, kind: content, **more}
    return outgoing(call, b"", SendRules())


@pytest.mark.parametrize(
    ("kind", "content", "text", "more"),
    [
        ("voice", {"media_id": "M"}, "", {"media_id": "M"}),
        ("video", {"media_id": "M", "title": "片"}, "片", {"media_id": "M"}),
        ("mpnewsarticle", {"article_id": "A"}, "", {"article_id": "A"}),
        ("wxcard", {"card_id": "C"}, "", {"card_id": "C"}),
    ],
)
def test_ids_stand_beside_the_text(kind, content, text, more):
    message = read(kind, content)

    assert (message.text, message.content) == (text, more)


def test_a_message_may_be_said_by_an_agent():
    message = read("text", {"content": "好"}, customservice={"kf_account": "kf01@demo"})

    assert message.content == {"agent": "kf01@demo"}


def test_media_must_exist_where_somebody_knows():
    call = {"msgtype": "music", "music": {"title": "曲", "thumb_media_id": "M"}}

    with pytest.raises(Refused, match="40007"):
        outgoing(call, b"", SendRules(), has_medium=lambda *_: False)
