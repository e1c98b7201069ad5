"""A voice from WeChat to what a model hears: fetched by egress, converted by llm."""

import io
import shutil
import wave

import pytest
from queqiao_common.events import Media, MediaFetched, MediaWanted
from queqiao_common.settings import Media as Settings
from queqiao_common.testing import ACCOUNT, CONV, MemoryObjects, inbound, published, received
from queqiao_egress.channels.port import Channel, Traits
from queqiao_egress.fetching import Fetching
from queqiao_llm.audio import Converter
from queqiao_simulator.pictures import amr, speex

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")

SOUNDS = {
    "8 kHz": amr("a", 2),
    "16 kHz, AMR": amr("a", 2, wide=True),
    "16 kHz, bare Speex": speex("a", 2),
}


@pytest.mark.parametrize("name", SOUNDS)
async def test_every_voice_that_wechat_records_reaches_transcription(name):
    """What could not be read would have to be typed again by its sender."""

    async def fetch(media, limit_bytes):
        return SOUNDS[name]

    objects = MemoryObjects()
    channel = Channel(traits=Traits(call=""), fetch=fetch)
    message = inbound("", kind="unsupported", media=(Media(kind="voice", media_id="M1"),))
    wanted = MediaWanted(id="m", account=ACCOUNT, conv=CONV, sequence=1, message=message)

    fetching = Fetching({ACCOUNT: channel}, objects, Settings())
    [event] = await published(fetching.fetch(received(wanted)))
    assert isinstance(event, MediaFetched)
    [voice] = event.message.media
    heard = await Converter().convert(objects.stored[voice.key], "wav")

    with wave.open(io.BytesIO(heard)) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (16_000, 1)
        assert sound.getnframes() == pytest.approx(32_000, abs=700)
