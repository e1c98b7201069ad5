import logging

import pytest
from queqiao_common.events import Media, MediaFetched, MediaReady, encode
from queqiao_common.settings import Media as Rules
from queqiao_common.settings import Model
from queqiao_common.testing import ACCOUNT, CONV, MemoryObjects, inbound, published, received
from queqiao_common.worker import Buried
from queqiao_llm.audio import Converter
from queqiao_llm.completion import ModelFailed, Reason
from queqiao_llm.transcribing import Transcribing

from services.llm.tests.fakes.openai_audio import amr

VOICE = Media(kind="voice", media_id="v1", key="main/v1", mime="audio/amr", format="amr")
PICTURE = Media(kind="image", media_id="p1", key="main/p1")


class Ears:
    """A model that says what it is told to, or fails."""

    model = Model(id="ears", base_url="http://ears/v1", model="ears", retries=1)

    def __init__(self, *answers):
        self.answers = list(answers)
        self.heard = []

    async def transcribe(self, sound, form):
        self.heard.append((sound, form))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("queqiao_llm.transcribing.PAUSE", 0.0)


def fetched(*media):
    message = inbound("", kind="unsupported", msg_type="voice", media=media)
    return MediaFetched(
        id=f"fetched:{message.id}:7", account=ACCOUNT, conv=CONV, sequence=7, message=message
    )


def transcribing(ears, stored=None, form="amr", ffmpeg="ffmpeg"):
    objects = MemoryObjects()
    objects.stored = {"main/v1": amr(1)} if stored is None else stored
    return Transcribing(ears, objects, Converter(ffmpeg=ffmpeg), Rules(transcribe_format=form))


async def heard(service, *media):
    [event] = await published(service.hear(received(fetched(*media))))
    return event


async def test_what_was_said_becomes_text():
    ears = Ears("今天 天气\n怎么样？")

    event = await heard(transcribing(ears), VOICE, PICTURE)

    assert (event.id, event.sequence) == ("ready:wx:main:m_1:7", 7)
    voice, picture = event.message.media
    assert (voice.text, voice.trouble) == ("今天 天气 怎么样？", "")
    assert picture == PICTURE
    assert ears.heard == [(amr(1), "amr")]


@pytest.mark.parametrize("text", ["", "  ", "。", "…？"])
async def test_voice_without_a_word_is_unclear(text):
    event = await heard(transcribing(Ears(text)), VOICE)

    assert (event.message.media[0].text, event.message.media[0].trouble) == ("", "unclear")


async def test_where_nothing_hears_the_user_is_told_so():
    event = await heard(transcribing(None), VOICE)

    assert event.message.media[0].trouble == "no_speech"


async def test_voice_that_is_no_longer_there_is_gone():
    event = await heard(transcribing(Ears(), stored={}), VOICE)

    assert event.message.media[0].trouble == "gone"


async def test_a_model_that_fails_is_asked_again():
    ears = Ears(ModelFailed(Reason.SERVER_ERROR), "你好")

    event = await heard(transcribing(ears), VOICE)

    assert event.message.media[0].text == "你好"


@pytest.mark.parametrize("reason", [Reason.SERVER_ERROR, Reason.REFUSED])
async def test_a_model_that_keeps_failing_is_a_failure_that_the_user_hears_of(reason):
    ears = Ears(ModelFailed(reason), ModelFailed(reason), ModelFailed(reason))

    event = await heard(transcribing(ears), VOICE)

    assert event.message.media[0].trouble == "failed"
    assert len(ears.heard) == (1 if reason is Reason.REFUSED else 2)


@pytest.mark.parametrize("sound", [b"#!SILK_V3", b"<html>", b""])
async def test_what_cannot_be_read_is_a_failure(sound):
    event = await heard(transcribing(Ears(), stored={"main/v1": sound}), VOICE)

    assert event.message.media[0].trouble == "failed"


async def test_without_ffmpeg_the_log_says_what_is_missing(caplog):
    with caplog.at_level(logging.WARNING):
        event = await heard(transcribing(Ears(), form="wav", ffmpeg="/nowhere/ffmpeg"), VOICE)

    assert event.message.media[0].trouble == "failed"
    assert "is it installed" in caplog.records[-1].__dict__["detail"]


async def test_what_is_known_or_lost_already_stays_as_it_is():
    """WeChat may have recognised the voice itself; what could not be fetched has its trouble."""
    known = Media(kind="voice", text="你好")
    lost = Media(kind="voice", trouble="too_large")

    event = await heard(transcribing(Ears()), known, lost)

    assert event.message.media == (known, lost)


async def test_a_message_that_is_given_up_goes_on_without_its_voice():
    service = transcribing(Ears())
    body = encode(fetched(VOICE, PICTURE))

    [event] = await published(service.bury(Buried("media.fetched.main", body, 1, "x")))
    nothing = await published(service.bury(Buried("media.fetched.main", b"junk", 1, "x")))

    assert isinstance(event, MediaReady)
    assert [one.trouble for one in event.message.media] == ["failed", ""]
    assert nothing == []
