"""Voice of 16 kHz, which WeChat keeps as bare frames: taken apart, and put into a container."""

import shutil
import subprocess
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_simulator.pictures import amr, jpeg, speex
from queqiao_wechat.media import contained, sniffed
from queqiao_wechat.speex import FEWEST, HIGH_BITS, LOW_BITS, MOST, checksum, frames, in_ogg

needs_speexenc = pytest.mark.skipif(
    shutil.which("speexenc") is None, reason="speexenc (Debian: speex) is not installed"
)
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")

RATE = 16_000


@st.composite
def frame(draw):
    """A frame as its bands' modes make it: any bits between, and the last byte filled up."""
    low = draw(st.integers(0, len(LOW_BITS) - 1))
    high = draw(st.integers(0, len(HIGH_BITS) - 1))
    sizes = (LOW_BITS[low] - 5, HIGH_BITS[high] - 4)
    first, second = (draw(st.integers(0, 2**size - 1)) for size in sizes)
    bits = f"0{low:04b}{padded(first, sizes[0])}1{high:03b}{padded(second, sizes[1])}"
    bits += "0111111"[: -len(bits) % 8]
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def padded(number, size):
    return f"{number:0{size}b}" if size else ""


voices = st.lists(frame(), min_size=FEWEST, max_size=40)


def packets(ogg):
    """The packets of an Ogg file, every page of which must have its checksum."""
    found, part, at = [], b"", 0
    while at < len(ogg):
        count = ogg[at + 26]
        begin = at + 27 + count
        sizes = ogg[at + 27 : begin]
        page = ogg[at : begin + sum(sizes)]
        assert page.startswith(b"OggS\0")
        assert int.from_bytes(page[22:26], "little") == checksum(page[:22] + bytes(4) + page[26:])
        for size in sizes:
            part += ogg[begin : begin + size]
            begin += size
            if size < 255:
                found.append(part)
                part = b""
        at += len(page)
    return found


@given(voices)
def test_bare_frames_are_told_apart_by_what_they_say_of_themselves(voice):
    assert frames(b"".join(voice)) == tuple(voice)


@given(voices)
def test_frames_behind_their_lengths_are_told_apart_too(voice):
    """WeChat's servers name that format, whatever they send."""
    assert frames(b"".join(bytes([len(one)]) + one for one in voice)) == tuple(voice)


@given(voices, st.integers(1, 5))
def test_a_voice_that_was_cut_off_is_none(voice, lost):
    """Whoever takes half a frame for a whole one has not understood the rest either."""
    assert len(voice[-1]) <= lost or frames(b"".join(voice)[:-lost]) == ()


@given(voices)
def test_a_container_holds_the_frames_as_they_are(voice):
    head, comment, *found = packets(in_ogg(voice))

    assert head.startswith(b"Speex   ")
    assert comment[4:11] == b"queqiao"
    assert found == voice


def test_a_minute_takes_many_pages():
    voice = frames(speex("a", 60))

    assert len(voice) == 3_000
    assert packets(in_ogg(voice))[2:] == list(voice)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0" * 6_000,
        b"\xff" * 6_000,
        b"<html>Error</html>" * 50,
        b'{"errcode":40007,"errmsg":"invalid media_id"}' * 20,
        "喜鹊为桥。".encode() * 100,
        amr("a", 2),
        jpeg("a"),
        speex("a", (FEWEST - 1) / 50),
        speex("a", (MOST + 1) / 50),
    ],
)
def test_other_things_are_no_speex(body):
    assert frames(body) == ()
    assert contained(body) == body


@given(st.binary(max_size=2_000))
def test_any_bytes_may_be_looked_at(body):
    assert sum(map(len, frames(body))) in (0, len(body), len(body) - len(frames(body)))


@given(st.binary(max_size=300))
def test_the_checksum_is_that_of_ogg(page):
    """The definition, bit by bit. Source: RFC 3533, 6."""
    register = 0
    for byte in page:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1 ^ (0x04C11DB7 if register >> 31 else 0)) & 0xFFFFFFFF

    assert checksum(page) == register


def encoded(folder, *options):
    """Two seconds of a rising tone, written by Speex's own encoder."""
    sound, target = folder / "tone.wav", folder / "tone.spx"
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        steps = (at * at // 300 % 256 * 60 - 7_680 for at in range(2 * RATE))
        file.writeframes(b"".join(step.to_bytes(2, "little", signed=True) for step in steps))
    subprocess.run(
        ("speexenc", "--wideband", *options, str(sound), str(target)),
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return target.read_bytes()


def decoded(ogg):
    command = ("ffmpeg", "-v", "error", "-f", "ogg", "-i", "-", "-f", "s16le", "-")
    return subprocess.run(command, input=ogg, check=True, capture_output=True).stdout


@needs_speexenc
@needs_ffmpeg
@pytest.mark.parametrize(
    "options",
    [
        *(("--quality", str(quality)) for quality in range(11)),
        ("--vbr",),
        ("--vad", "--dtx"),
        ("--abr", "20000"),
    ],
    ids=" ".join,
)
def test_what_speex_itself_encodes_sounds_the_same_without_its_container(tmp_path, options):
    """Quality 7 has the 60 bytes a frame that WeChat's own decoder reads."""
    original = encoded(tmp_path, *options)
    voice = packets(original)[2:]

    ours = contained(b"".join(voice))

    assert packets(ours)[2:] == voice
    assert sniffed(ours) == "audio/speex"
    assert options != ("--quality", "7") or {len(one) for one in voice} == {60}
    assert decoded(ours) == decoded(original)
