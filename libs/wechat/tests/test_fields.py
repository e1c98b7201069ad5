import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_wechat.fields import MAX_BYTES, MessageError, is_json, parse_fields

BILLION_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">'
    + b"".join(
        f'<!ENTITY {name} "{f"&{inner};" * 10}">'.encode()
        for inner, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + b"]><xml><Content>&i;</Content></xml>"
)

HOSTILE = [
    pytest.param(BILLION_LAUGHS, "DOCTYPE", id="billion laughs"),
    pytest.param(
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><xml><Content>&e;</Content></xml>',
        "DOCTYPE",
        id="external entity",
    ),
    pytest.param(b'<!DOCTYPE x SYSTEM "http://x.invalid/x.dtd"><xml/>', "DOCTYPE", id="outer DTD"),
    pytest.param(b"<xml>&undefined;</xml>", "well-formed", id="unknown entity"),
    pytest.param(b"<a>" * 20_000, "deeper than 8", id="deep XML"),
    pytest.param(b'{"a":' * 10_000, "well-formed", id="deep JSON"),
    pytest.param(b'{"a":' * 20 + b"1" + b"}" * 20, "deeper than 8", id="JSON nested a little"),
    pytest.param(b'{"a":' + b"[" * 20 + b"]" * 20 + b"}", "deeper than 8", id="nested lists"),
    pytest.param(b"<xml>" + b"a" * 1_000_000 + b"</xml>", "the limit is", id="1 MB"),
    pytest.param(b"<xml><" + b"n" * 30_000 + b"/></xml>", "a name of", id="huge name"),
    pytest.param(b'{"' + b"n" * 30_000 + b'":{"a":1}}', "a name of", id="huge JSON name"),
    pytest.param(b"<xml><Content>\xff\xfe</Content></xml>", "not UTF-8", id="invalid UTF-8"),
    pytest.param(b"\xff\xfe<\x00x\x00/\x00>\x00", "not UTF-8", id="UTF-16"),
    pytest.param(b"<xml><Content>a\x00b</Content></xml>", "well-formed", id="NUL"),
    pytest.param(b"<xml><a></xml>", "well-formed", id="unbalanced"),
    pytest.param(b"<xml/><xml/>", "well-formed", id="two roots"),
    pytest.param(b'{"a":1e999}', "well-formed", id="endless number"),
    pytest.param(b'{"a":' + b"9" * 60_000 + b"}", "well-formed", id="60 000 digits"),
    pytest.param(b'{"a":1', "well-formed", id="half JSON"),
    pytest.param(b"", "neither", id="empty"),
    pytest.param(b"[1]", "neither", id="JSON list"),
    pytest.param(b"success", "neither", id="plain words"),
]


@pytest.mark.parametrize(("body", "reason"), HOSTILE)
def test_a_hostile_body_is_refused(body, reason):
    with pytest.raises(MessageError, match=reason):
        parse_fields(body)


def test_a_doctype_is_refused_before_the_rest_is_even_read():
    """The refusal must cost nothing: the second half of this body would not parse at all."""
    with pytest.raises(MessageError, match="DOCTYPE"):
        parse_fields(b"<!DOCTYPE x []><<<<")


def test_a_declared_encoding_does_not_change_how_bytes_are_read():
    body = '<?xml version="1.0" encoding="gbk"?><xml><Content>你好</Content></xml>'.encode()

    assert parse_fields(body) == {"Content": "你好"}


def test_cdata_and_bare_text_are_one():
    body = (
        b"<xml><a><![CDATA[x]]>y<![CDATA[]]]]><![CDATA[>]]></a>"
        b"<b>&lt;&#65;</b><c/><d><![CDATA[]]></d></xml>"
    )

    assert parse_fields(body) == {"a": "xy]]>", "b": "<A", "c": "", "d": ""}


def test_nested_fields_are_named_by_their_path():
    body = b"<xml>\n <A>\n  <B>1</B>\n  <C><D>2</D></C>\n </A>\n <E>3</E></xml>"

    assert parse_fields(body) == {"A.B": "1", "A.C.D": "2", "E": "3"}


def test_a_list_of_one_reads_like_the_object_in_its_place():
    """WeChat sends an object where a list would have one entry."""
    one, two = {"List": {"Id": "x"}}, {"List": [{"Id": "x"}, {"Id": "y"}]}

    assert parse_fields(json.dumps(one).encode()) == {"List.Id": "x"}
    assert parse_fields(json.dumps(two).encode()) == {"List.Id": "x", "List.1.Id": "y"}
    assert parse_fields(b"<xml><List><Id>x</Id></List><List><Id>y</Id></List></xml>") == {
        "List.Id": "x",
        "List.1.Id": "y",
    }


def test_a_repeated_field_does_not_replace_the_first():
    body = b"<xml><FromUserName>a</FromUserName><FromUserName>b</FromUserName></xml>"

    assert parse_fields(body)["FromUserName"] == "a"


def test_json_values_read_as_xml_would_show_them():
    body = b'\xef\xbb\xbf {"i":24100000000000010,"f":0.5,"t":true,"n":null,"s":"\\u4f60","l":[]}'

    assert parse_fields(body) == {
        "i": "24100000000000010",
        "f": "0.5",
        "t": "true",
        "n": "",
        "s": "你",
    }


@given(
    st.one_of(
        st.binary(max_size=200),
        st.text().map(lambda text: f"<xml>{text}</xml>".encode("utf-8", "surrogatepass")),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda child: st.lists(child) | st.dictionaries(st.text(), child),
        ).map(lambda tree: json.dumps({"a": tree}).encode()),
    )
)
def test_any_bytes_are_fields_or_a_message_error(body):
    try:
        fields = parse_fields(body)
    except MessageError:
        return
    assert all(isinstance(value, str) for value in fields.values())


def test_the_largest_legal_body_is_read():
    start, end = b"<xml><Content>", b"</Content></xml>"
    content = b"a" * (MAX_BYTES - len(start) - len(end))

    assert parse_fields(start + content + end) == {"Content": content.decode()}


@pytest.mark.parametrize(
    "body", [b"<xml>" + b"<a/>" * 2000 + b"</xml>", b'{"a":[' + b"1," * 2000 + b"1]}"]
)
def test_a_body_of_nothing_but_names_is_refused(body):
    """64 kB of them would keep the processor busy for twenty times as long as a message."""
    with pytest.raises(MessageError, match="1000 values"):
        parse_fields(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b" \n{}", True), (b"\xef\xbb\xbf{", True), (b"<xml/>", False), (b"", False), (b"[1]", False)],
)
def test_the_format_is_told_by_the_first_character(body, expected):
    assert is_json(body) is expected
