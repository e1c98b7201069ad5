"""A user speaks and is answered aloud: from WeChat's bare Speex to a voice message, all of it."""

import shutil

import pytest
from queqiao_common.settings import Delivery, Media
from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

from services.llm.tests.fakes.openai_audio import KEY, serving

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed"),
]
SPOKEN = "今天天气怎么样"


async def test_what_is_said_is_understood_and_answered_aloud(own_broker, tmp_path):
    """Where WeChat lets an account upload no voice, the same is written.

    Either says that an AI made it: the voice by itself, the text by its label.
    """
    async with serving() as audio:
        audio.text = SPOKEN
        options = Options(
            settings={
                "moderation": {"messages_per_minute": 0},
                "media": {"transcribe": "audio", "speak": "audio"},
                "personas": {"assistant": {"prompt": "你是店员。", "voice": "alloy"}},
                "routes": {"default": ["main"]},
            },
            models=({"id": "audio", "base_url": audio.url, "model": "audio-1", "api_key": KEY},),
        )
        async with running(tmp_path, broker_url=own_broker.url, options=options) as system:
            for account in ("active", "sub"):
                await system.say(account, "v1", "", kind="voice")

            async def answers():
                found = []
                for account in ("active", "sub"):
                    entries = await system.transcript(account, "v1")
                    said = [one for one in entries if one["who"] == "account"]
                    found += [one for one in said if one["text"] != Delivery().thinking]
                return found if len(found) == 2 else None

            found = await eventually(answers, within=60)
            asked = await system.model("GET", "/control/calls")

    assert [(one["kind"], one["via"]) for one in found] == [("voice", "api"), ("text", "passive")]
    assert found[1]["text"].endswith(Delivery().label)
    assert [one["messages"][-1]["content"] for one in asked["requests"]] == [SPOKEN] * 2
    assert all(sound.startswith(b"RIFF") for sound in audio.heard)
    assert [text.endswith(Media().speak_label) for text, _ in audio.spoken] == [True, True]
