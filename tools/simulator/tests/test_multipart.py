"""Uploads, byte for byte."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_simulator.multipart import Part, parse


def form(files):
    request = httpx.Request("POST", "http://simulator.local/", files=files)
    return request.headers["content-type"], request.read()


@given(st.binary(max_size=300))
def test_a_file_arrives_as_it_was_sent(body):
    [part] = parse(*form({"media": ("照.jpg", body, "image/jpeg")}))

    assert (part.name, part.body, part.mime) == ("media", body, "image/jpeg")
    assert part.filename


def test_several_parts_keep_their_order():
    parts = parse(*form([("a", ("1", b"x")), ("media", ("2", b"\r\n--y\r\n"))]))

    assert [(part.name, part.body) for part in parts] == [("a", b"x"), ("media", b"\r\n--y\r\n")]


def test_a_field_without_a_file_has_no_filename():
    body = b'--b\r\nContent-Disposition: form-data; name="media"\r\n\r\nx\r\n--b--\r\n'

    assert parse("multipart/form-data; boundary=b", body) == [Part("media", b"x")]


@given(st.binary(max_size=100))
def test_what_is_no_form_is_refused(body):
    with pytest.raises(ValueError, match="form"):
        parse("multipart/form-data; boundary=nowhere-in-the-body", body)


@pytest.mark.parametrize("content_type", ["", "image/jpeg", "multipart/form-data"])
def test_a_form_needs_a_boundary(content_type):
    with pytest.raises(ValueError, match="boundary"):
        parse(content_type, b"")


def test_a_part_needs_a_name():
    with pytest.raises(ValueError, match="no name"):
        parse("multipart/form-data; boundary=b", b"--b\r\nA: 1\r\n\r\nx\r\n--b--")
