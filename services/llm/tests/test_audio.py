import io
import shutil
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_llm.audio import Converter, Unconvertible, format_of, run, seconds_of

from services.llm.tests.fakes.openai_audio import amr, mp3

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
needs_sox = pytest.mark.skipif(shutil.which("sox") is None, reason="sox is not installed")


@pytest.mark.parametrize(
    ("sound", "name"),
    [
        (amr(0.1), "amr"),
        (b"#!AMR-WB\n\x44", "amr"),
        (mp3(0.1), "mp3"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x00", "mp3"),
        (b"RIFF\x00\x00\x00\x00WAVE", "wav"),
        (b"OggS\x00", "ogg"),
        (b"\x02#!SILK_V3", "silk"),
        (b"#EXTM3U\nhttp://169.254.169.254/", ""),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_a_sound_is_known_by_how_it_begins(sound, name):
    assert format_of(sound) == name


@pytest.mark.parametrize(
    ("sound", "seconds"),
    [
        (amr(2), 2.0),
        (b"#!AMR-WB\n" + (b"\x44" + bytes(60)) * 50, 1.0),
        (mp3(36), 36.0),
        (b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128) + mp3(3.6), 3.6),
        (b"RIFF", 0.0),
    ],
)
def test_how_long_a_sound_lasts_is_counted(sound, seconds):
    assert seconds_of(sound) == pytest.approx(seconds, abs=0.04)


@given(st.sampled_from([b"", b"#!AMR\n", b"#!AMR-WB\n", b"ID3", b"\xff\xf3"]), st.binary())
def test_anything_may_be_measured(head, rest):
    assert seconds_of(head + rest) >= 0


@needs_ffmpeg
async def test_what_wechat_records_becomes_what_models_hear():
    converted = await Converter().convert(amr(2), "wav")

    with wave.open(io.BytesIO(converted)) as sound:
        assert (sound.getnchannels(), sound.getframerate()) == (1, 16_000)
        assert sound.getnframes() == pytest.approx(32_000, abs=700)


@needs_ffmpeg
async def test_wide_band_voice_is_told_by_its_head_alone():
    """WeChat calls both of them `amr`."""
    wide = b"#!AMR-WB\n" + (b"\x44" + bytes(60)) * 50

    with wave.open(io.BytesIO(await Converter().convert(wide, "wav"))) as sound:
        assert sound.getnframes() == pytest.approx(16_000, abs=700)


@needs_ffmpeg
async def test_speex_in_its_usual_wrapping_is_heard():
    speex = ("ffmpeg", "-v", "error", "-f", "amr", "-i", "-", "-c:a", "libspeex", "-f", "ogg", "-")
    wrapped = await run(speex, amr(1))

    with wave.open(io.BytesIO(await Converter().convert(wrapped, "wav"))) as sound:
        assert sound.getnframes() == pytest.approx(16_000, abs=1500)


@needs_ffmpeg
async def test_voice_becomes_mp3():
    assert seconds_of(await Converter().convert(amr(2), "mp3")) == pytest.approx(2, abs=0.2)


@needs_ffmpeg
@needs_sox
async def test_what_models_say_becomes_what_wecom_plays():
    converted = await Converter().convert(mp3(2), "amr")

    assert format_of(converted) == "amr"
    assert seconds_of(converted) == pytest.approx(2, abs=0.2)


async def test_what_is_right_already_needs_no_program():
    converter = Converter(ffmpeg="/nowhere/ffmpeg")

    assert await converter.convert(amr(1), "amr") == amr(1)


@pytest.mark.parametrize("sound", [b"#EXTM3U\nhttp://169.254.169.254/", b"<html>", b"", b"#!SILK"])
async def test_what_is_no_sound_never_reaches_the_converter(sound):
    """ffmpeg would follow the addresses of a playlist."""
    with pytest.raises(Unconvertible, match="cannot read"):
        await Converter().convert(sound, "wav")


async def test_without_the_program_it_is_said_so():
    with pytest.raises(Unconvertible, match="is it installed"):
        await Converter(ffmpeg="/nowhere/ffmpeg").convert(amr(1), "wav")


@needs_ffmpeg
async def test_a_sound_that_is_broken_is_refused():
    with pytest.raises(Unconvertible, match="ended with"):
        await Converter().convert(b"OggS" + bytes(500), "wav")


async def test_a_program_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr("queqiao_llm.audio.TIME", 0.1)

    with pytest.raises(Unconvertible, match="took longer"):
        await run(("sleep", "30"), b"")


async def test_a_program_that_takes_too_much_memory_ends_itself(monkeypatch):
    monkeypatch.setattr("queqiao_llm.audio.MEMORY", 64 * 1024 * 1024)
    greedy = "import sys; sys.stdin.read(); print(len(bytearray(200_000_000)))"

    with pytest.raises(Unconvertible, match="ended with 1"):
        await run(("python3", "-c", greedy), b"go")
