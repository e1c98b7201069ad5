from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_cli.knowledge.sniffing import Kind, UnfitFileError, kind_of, text_of

from tools.cli.tests.knowledge.files import docx_file, pdf_file


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.md", "# 退款".encode(), Kind.MARKDOWN),
        ("A.TXT", "退款政策".encode("gb18030"), Kind.TEXT),
        ("a.csv", "﻿问题,答案".encode(), Kind.CSV),
        ("a.pdf", pdf_file("refunds"), Kind.PDF),
        ("a.docx", docx_file(("Normal", "退款")), Kind.DOCX),
    ],
)
def test_a_file_is_what_its_name_says(name, data, kind):
    assert kind_of(name, data) is kind


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.xlsx", b"x", "not a kind that is read"),
        ("a", b"x", "not a kind that is read"),
        ("a.md", b" \n ", "empty"),
        ("a.pdf", "退款政策".encode(), "named as PDF, but it is none"),
        ("a.docx", pdf_file("x"), "named as DOCX, but it is PDF"),
        ("a.md", docx_file(("Normal", "x")), "named as Markdown, but it is DOCX"),
        ("a.txt", b"\x89PNG\r\n\x1a\n\x00\x00", "but it is a PNG picture"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "but it is an old Office file"),
        ("a.docx", b"PK\x03\x04 broken", "but it is a broken archive"),
        ("a.txt", b"<!DOCTYPE html><html></html>", "a web page"),
        ("a.txt", b"text with \x00\x00\x00\x01\x02 control characters", "no text"),
        ("a.txt", b"\xff\xff\xff\xff\x80", "neither UTF-8 nor GB18030"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused_by_name(name, data, reason):
    """An operator adds a folder of files: the message has to name the one, and what is wrong."""
    with pytest.raises(UnfitFileError, match=reason) as refused:
        kind_of(name, data)

    assert str(refused.value).startswith(name)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_text_is_read_in_the_encodings_that_people_have(encoding):
    assert text_of("a.txt", "退款\r\n三天到账。".encode(encoding)) == "退款\n三天到账。"


@given(data=st.binary(max_size=300), name=st.sampled_from(["a.md", "a.csv", "a.pdf", "a.docx"]))
def test_no_bytes_are_too_strange_to_be_refused(data, name):
    with suppress(UnfitFileError):
        assert kind_of(name, data) in Kind
