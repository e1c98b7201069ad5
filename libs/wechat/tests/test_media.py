"""What a file is, and what may be uploaded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_simulator.bots import sealed
from queqiao_wechat.crypto import CryptoError
from queqiao_wechat.media import (
    MINIPROGRAM_UPLOADS,
    UPLOADS,
    WECOM_UPLOADS,
    opener,
    problem,
    sniffed,
)

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


@pytest.mark.parametrize(
    ("body", "mime"),
    [
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\nrest", "image/png"),
        (b"GIF89arest", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"#!AMR\n\x3c", "audio/amr"),
        (b"#!AMR-WB\n\x3c", "audio/amr-wb"),
        (b"\x02#!SILK_V3\x10", "audio/silk"),
        (b"OggS" + bytes(24) + b"Speex   1.2", "audio/speex"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90\x00", "audio/mpeg"),
        (b"\xff\xff\xff\xff", ""),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_the_first_bytes_tell_what_a_file_is(body, mime):
    assert sniffed(body) == mime


@given(st.binary(max_size=64))
def test_no_bytes_break_the_reader(body):
    assert sniffed(body) in ("", sniffed(body))


def test_what_wechat_would_refuse_is_not_uploaded():
    jpeg, mp3 = b"\xff\xd8\xff", b"ID3\x04"

    assert problem("image", jpeg, UPLOADS) == ""
    assert problem("voice", mp3, UPLOADS) == ""
    assert problem("voice", mp3, WECOM_UPLOADS) == "audio/mpeg is no voice that WeChat takes"
    assert problem("voice", mp3, MINIPROGRAM_UPLOADS) == "this account takes no voice"
    assert problem("image", b"nothing", UPLOADS).startswith("an unknown type is no image")
    assert "bytes are more than" in problem("thumb", jpeg + bytes(64 * 1024), UPLOADS)


@given(body=st.binary(max_size=200))
def test_a_file_for_an_ai_bot_is_opened_with_its_key(body):
    assert opener(KEY)(sealed(body, KEY)) == body


@given(body=st.binary(max_size=100))
def test_a_file_that_is_not_for_us_is_refused(body):
    other = "B" + KEY[1:]
    try:
        found = opener(other)(sealed(b"secret" + body, KEY))
    except CryptoError:
        return
    assert found != b"secret" + body
