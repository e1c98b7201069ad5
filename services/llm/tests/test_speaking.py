import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.events import Menu, MenuItem
from queqiao_common.settings import Account, Config, Media, Model, Persona, Secret
from queqiao_common.testing import NOW_MS, MemoryObjects, request, segment
from queqiao_llm.audio import Converter, format_of
from queqiao_llm.completion import ModelFailed, Reason
from queqiao_llm.speaking import Speaking, spoken

from services.llm.tests.fakes.openai_audio import mp3
from services.llm.tests.test_audio import needs_ffmpeg, needs_sox

TURN = request(persona="host")


class Voice:
    """A model that says what it is told to, or fails."""

    model = Model(id="voice", base_url="http://voice/v1", model="voice")

    def __init__(self, sound=None):
        self.sound = mp3(3) if sound is None else sound
        self.said = []

    async def speak(self, text, voice):
        self.said.append((text, voice))
        if isinstance(self.sound, Exception):
            raise self.sound
        if self.sound == b"never":
            await asyncio.Event().wait()
        return self.sound


def config(kind="service", voice_name="alloy", label=""):
    account = Account(id="main", kind=kind, appid="wx1", token=Secret("t"))
    return Config(
        accounts=(account,),
        personas={"host": Persona(voice=voice_name)},
        media=Media(speak="voice", speak_chars=100, speak_label=label),
    )


def speaking(voice, *, objects=None, now_ms=NOW_MS, **settings):
    objects = MemoryObjects() if objects is None else objects
    return Speaking(voice, objects, Converter(), config(**settings), now_ms=lambda: now_ms)


async def test_a_piece_is_read_aloud_and_still_written():
    voice, objects = Voice(), MemoryObjects()
    piece = segment("**你好！**", final=True)

    finished = await speaking(voice, objects=objects).finish(TURN, piece)

    [media] = finished.media
    assert voice.said == [("你好！", "alloy")]
    assert (finished.text, media.text) == ("**你好！**", "**你好！**")
    assert (media.kind, media.mime, media.format) == ("voice", "audio/mpeg", "mp3")
    assert media.key == f"main/say/{piece.id}"
    assert objects.stored == {media.key: mp3(3)}


async def test_a_voice_says_itself_that_an_ai_made_it():
    """A voice in the answer to a callback carries no mark of WeChat's, and none once passed on."""
    voice = Voice()

    [media] = (await speaking(voice, label="由 AI 生成").finish(TURN, segment("长" * 100))).media

    assert voice.said == [("长" * 100 + "\n由 AI 生成", "alloy")]
    assert "AI" not in media.text
    assert config().media.speak_label == "" != Media().speak_label


@needs_ffmpeg
@needs_sox
@pytest.mark.parametrize("kind", ["wecom", "wecom_kf"])
async def test_wecom_is_given_what_it_plays(kind):
    objects = MemoryObjects()

    finished = await speaking(Voice(), objects=objects, kind=kind).finish(TURN, segment("你好"))

    assert finished.media[0].mime == "audio/amr"
    assert format_of(objects.stored[finished.media[0].key]) == "amr"


@pytest.mark.parametrize(
    ("piece", "settings"),
    [
        (segment(""), {}),
        (segment("长" * 101), {}),
        (segment("```\ncode\n```"), {}),
        (segment("你好", notice=True), {}),
        (segment("", failed=True, final=True), {}),
        (segment("选一个", menu=Menu(head="选", items=(MenuItem("1", "甲"),))), {}),
        (segment("你好"), {"voice_name": ""}),
        (segment("你好"), {"kind": "miniprogram"}),
        (segment("你好"), {"kind": "wecom_bot"}),
    ],
)
async def test_what_is_not_for_ears_is_only_written(piece, settings):
    voice = Voice()

    assert await speaking(voice, **settings).finish(TURN, piece) is piece
    assert voice.said == []


class Full(MemoryObjects):
    async def put(self, key, data):
        raise BrokerUnavailable("full")


@pytest.mark.parametrize(
    ("voice", "fields"),
    [
        (Voice(ModelFailed(Reason.SERVER_ERROR)), {}),
        (Voice(mp3(61)), {}),
        (Voice(b"<html>"), {}),
        (Voice(mp3(3) + bytes(3_000_000)), {}),
        (Voice(), {"objects": Full()}),
        (Voice(b"never"), {"now_ms": NOW_MS + 58_900}),
        (Voice(), {"now_ms": NOW_MS + 70_000}),
    ],
)
async def test_whatever_goes_wrong_the_text_goes_out(voice, fields):
    piece = segment("你好")

    async with asyncio.timeout(10):
        assert await speaking(voice, **fields).finish(TURN, piece) is piece


async def test_without_a_model_nothing_is_spoken():
    assert await speaking(None).finish(TURN, segment("你好")) == segment("你好")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("# 标题\n\n- 一\n- **二**", "标题\n\n一\n二"),
        ("看[这里](https://a.b/c)。", "看这里。"),
        ("图：![猫](https://a.b/c.png)好看吗", "图：好看吗"),
        ("见 https://a.b/c", "见"),
        ("|a|b|\n|-|-|\n|1|2|", ""),
        ("\\(x^2\\)", ""),
        ("……", ""),
    ],
)
def test_what_is_read_aloud_is_what_a_person_would_say(written, said):
    assert spoken(written, 100) == said


@given(st.text(), st.integers(1, 50))
def test_nothing_longer_than_the_limit_is_read_aloud(text, limit):
    assert len(spoken(text, limit)) <= limit
