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
        (
            {"MsgType": "image", "Image": {"MediaId": "M1"}},
            Reply("image", "", {"media_id": "M1"}),
        ),
        (
            {
                "MsgType": "news",
                "ArticleCount": 1,
                "Articles": [{"Title": "标题", "Url": "https://a.example"}],
            },
            Reply(
                "news",
                "标题\nhttps://a.example",
                {
                    "articles": [
                        {
                            "title": "标题",
                            "description": "",
                            "url": "https://a.example",
                            "picurl": "",
                        }
                    ]
                },
            ),
        ),
        ({"MsgType": "transfer_customer_service"}, Reply("transfer_customer_service", "")),
        (
            {"MsgType": "transfer_customer_service", "TransInfo": {"KfAccount": "kf01@demo"}},
            Reply("transfer_customer_service", "", {"agent": "kf01@demo"}),
        ),
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


def expecting(**changes):
    return Expected(openid="oUser", original_id="gh_account", **changes)


def news(count, said=None):
    items = [{"Title": f"第{n}条"} for n in range(count)]
    return render({**HEAD, "MsgType": "news", "ArticleCount": said or count, "Articles": items})


@pytest.mark.parametrize(
    ("body", "limit", "reason"),
    [(news(2), 1, "more than 1"), (news(9), 8, "more than 8"), (news(1, 2), 1, "ArticleCount")],
)
def test_articles_are_counted(body, limit, reason):
    answer = judge(body, expecting(articles=limit), None, sealed=False)

    assert isinstance(answer, Invalid)
    assert reason in answer.reason


def test_an_event_may_be_answered_with_eight_articles():
    answer = judge(news(8), expecting(articles=8), None, sealed=False)

    assert len(answer.content["articles"]) == 8


@pytest.mark.parametrize(
    ("kind", "element", "name", "stored"),
    [
        ("image", "Image", "MediaId", "image"),
        ("voice", "Voice", "MediaId", "voice"),
        ("video", "Video", "MediaId", "video"),
        ("music", "Music", "ThumbMediaId", "thumb"),
    ],
)
def test_media_must_exist(kind, element, name, stored):
    asked = []
    expected = expecting(has_medium=lambda media_id, kind: asked.append((media_id, kind)))
    body = render({**HEAD, "MsgType": kind, element: {name: "M1"}})

    answer = judge(body, expected, None, sealed=False)

    assert "does not exist" in answer.reason
    assert asked == [("M1", stored)]


def test_nobody_who_has_left_can_be_answered():
    body = render({**HEAD, "MsgType": "text", "Content": "别走"})

    assert isinstance(judge(body, expecting(may_reply=False), None, sealed=False), Invalid)


def test_a_mini_program_can_only_hand_over_in_xml_or_json():
    expected = expecting(hands_over_only=True)
    text = render({**HEAD, "MsgType": "text", "Content": "好"})
    handed = b'{"ToUserName":"oUser","FromUserName":"gh_account","CreateTime":1,'
    handed += b'"MsgType":"transfer_customer_service"}'

    refused = judge(text, expected, None, sealed=False)
    answer = judge(handed, expected, None, sealed=False)

    assert "Mini Program" in refused.reason
    assert answer == Reply("transfer_customer_service", "")


def test_repeated_elements_are_numbered():
    assert parse(b"<xml><a>1</a><a>2</a><a>3</a></xml>") == {"a": "1", "a.1": "2", "a.2": "3"}
