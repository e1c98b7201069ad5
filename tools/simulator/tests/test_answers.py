"""Judging passive replies (protocol reference 4, 4.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_simulator.answers import Ack, Expected, Invalid, Reply, judge, parse
from queqiao_simulator.envelope import render

EXPECTED = Expected(openid="oUser", original_id="gh_account")
HEAD = {"ToUserName": "oUser", "FromUserName": "gh_account", "CreateTime": 1767225601}

# What XML 1.0 can carry; a carriage return would come back as a line feed.
texts = st.text(
    alphabet=st.characters(
        exclude_categories=["Cs", "Cc"],
        include_characters="\t\n",
        exclude_characters="\ufffe\uffff",
    ),
    min_size=1,
    max_size=300,
)


def judged(**fields):
    return judge(render({**HEAD, **fields}), EXPECTED, None, sealed=False)


@pytest.mark.parametrize("body", [b"", b"success", b" success\n"])
def test_success_and_nothing_are_acknowledgements(body):
    assert isinstance(judge(body, EXPECTED, None, sealed=True), Ack)


@given(texts)
def test_any_text_arrives_as_it_was_written(text):
    assert judged(MsgType="text", Content=text) == Reply("text", text)


@given(st.binary(max_size=200))
def test_any_bytes_are_judged_without_an_accident(body):
    assert isinstance(judge(body, EXPECTED, None, sealed=False), Ack | Invalid)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ToUserName": "gh_account"}, "ToUserName"),
        ({"FromUserName": "oUser"}, "FromUserName"),
        ({"CreateTime": "now"}, "CreateTime"),
        ({"MsgType": "hologram"}, "MsgType"),
        ({"Content": ""}, "Content is empty"),
        ({"Content": "字" * 683}, "2049 bytes"),
        ({"MsgType": "image"}, "Image.MediaId"),
        ({"MsgType": "news", "Articles": ""}, "Articles.item"),
    ],
)
def test_a_wrong_reply_says_what_is_wrong(fields, reason):
    answer = judged(**({"MsgType": "text", "Content": "好"} | fields))

    assert isinstance(answer, Invalid)
    assert reason in answer.reason


def test_2048_bytes_are_allowed():
    assert isinstance(judged(MsgType="text", Content="字" * 682 + "ab"), Reply)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"MsgType": "image", "Image": {"MediaId": "M1"}}, Reply("image", "M1")),
        (
            {
                "MsgType": "news",
                "ArticleCount": 1,
                "Articles": [{"Title": "标题", "Url": "https://a.example"}],
            },
            Reply("news", "标题\nhttps://a.example"),
        ),
        ({"MsgType": "transfer_customer_service"}, Reply("transfer_customer_service", "")),
    ],
)
def test_other_types_are_shown_in_short(fields, shown):
    assert judged(**fields) == shown


@pytest.mark.parametrize(
    "document",
    [b"{}", b"<html></html>", b"<xml>", b"<xml>a\x01b</xml>", b"<xml>text</xml>", b"\xff\xfe"],
)
def test_what_is_not_a_reply_does_not_parse(document):
    with pytest.raises(ValueError, match="malformed XML"):
        parse(document)


def test_a_document_type_is_refused_but_may_be_talked_about():
    """Models write about HTML; entities are another matter."""
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><xml><MsgType>&a;</MsgType></xml>'

    with pytest.raises(ValueError, match="document type"):
        parse(bomb)

    assert judged(MsgType="text", Content="<!DOCTYPE html>") == Reply("text", "<!DOCTYPE html>")


def test_safe_mode_refuses_plain_replies():
    answer = judge(render({**HEAD, "MsgType": "text"}), EXPECTED, lambda _: b"", sealed=True)

    assert answer == Invalid("safe mode: the reply is not encrypted")
