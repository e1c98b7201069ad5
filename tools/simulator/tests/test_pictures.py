"""Files made from nothing must be what they say."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from queqiao_simulator.media import sniffed
from queqiao_simulator.pictures import amr, amr_seconds, jpeg, mp4


def segments(picture):
    """The markers and contents of a JPEG, up to its entropy-coded data."""
    at = 2
    while picture[at] == 0xFF and picture[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", picture, at + 2)
        yield picture[at + 1], picture[at + 4 : at + 2 + length]
        at += 2 + length


@given(st.text(max_size=20), st.integers(1, 12))
def test_a_picture_is_a_baseline_jpeg_of_its_size(seed, blocks):
    picture = jpeg(seed, blocks)
    found = dict(segments(picture))

    assert picture.startswith(b"\xff\xd8")
    assert picture.endswith(b"\xff\xd9")
    assert struct.unpack(">BHHB", found[0xC0][:6]) == (8, 8 * blocks, 8 * blocks, 3)


def test_different_pictures_differ():
    assert jpeg("a") == jpeg("a") != jpeg("b")


@given(st.floats(0.02, 60), st.booleans())
def test_a_recording_lasts_as_long_as_it_says(seconds, wide):
    recording = amr("a", seconds, wide=wide)

    assert abs(amr_seconds(recording) - seconds) <= 0.02
    assert sniffed(recording) == ("audio/amr-wb" if wide else "audio/amr")


def test_other_files_last_no_time():
    assert amr_seconds(b"ID3") is None


def test_a_film_is_made_of_boxes():
    film, names, at = mp4("a"), [], 0
    while at < len(film):
        (size,) = struct.unpack_from(">I", film, at)
        names.append(film[at + 4 : at + 8])
        at += size

    assert names == [b"ftyp", b"moov", b"mdat"]
    assert sniffed(film) == "video/mp4"
