import pytest
from queqiao_common.settings import Config, Media, Secret
from queqiao_llm.completion import ModelFailed, Reason
from queqiao_llm.providers.openai import open_http
from queqiao_llm.providers.openai_audio import OpenAiAudio, open_audio
from starlette.responses import Response

from services.llm.tests.fakes.openai_audio import KEY, amr, mp3, serving


@pytest.fixture
async def audio():
    async with serving() as playing, open_http(4) as http:
        yield playing, lambda **settings: OpenAiAudio(http, playing.model(**settings))


async def test_voice_becomes_text(audio):
    playing, open_model = audio

    assert await open_model().transcribe(amr(1), "amr") == playing.text
    assert playing.heard == [amr(1)]


async def test_text_becomes_voice(audio):
    playing, open_model = audio

    assert await open_model().speak("你好", "alloy") == mp3(3)
    assert playing.spoken == [("你好", "alloy")]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Response("busy", 429, headers={"Retry-After": "7"}), Reason.RATE_LIMITED),
        (Response("secret words", 500), Reason.SERVER_ERROR),
        (Response("no", 404), Reason.REFUSED),
        (Response("<html>", 200), Reason.GARBAGE),
        (Response(b"\xff\xfe{", 200), Reason.GARBAGE),
        (Response(b'{"text": "' + b"x" * 2_000_000 + b'"}', 200), Reason.GARBAGE),
    ],
)
async def test_every_failure_has_its_reason(audio, answer, reason):
    playing, open_model = audio
    playing.failures.append(answer)

    with pytest.raises(ModelFailed) as error:
        await open_model().transcribe(amr(1), "amr")

    assert error.value.reason is reason
    assert "secret" not in str(error.value)


async def test_a_wrong_key_is_a_refusal(audio):
    _, open_model = audio

    with pytest.raises(ModelFailed) as error:
        await open_model(api_key=Secret("wrong")).speak("你好", "alloy")

    assert error.value.reason is Reason.REFUSED


async def test_silence_is_no_voice(audio):
    playing, open_model = audio
    playing.sound = b""

    with pytest.raises(ModelFailed) as error:
        await open_model().speak("你好", "alloy")

    assert error.value.reason is Reason.EMPTY


async def test_nobody_at_the_address_is_unreachable(audio):
    _, open_model = audio

    with pytest.raises(ModelFailed) as error:
        await open_model(base_url="http://127.0.0.1:9/v1").transcribe(b"", "wav")

    assert error.value.reason is Reason.UNREACHABLE


async def test_a_model_that_never_answers_is_given_up(audio):
    _, open_model = audio

    with pytest.raises(ModelFailed) as error:
        await open_model(timeout=1e-6).speak("你好", "alloy")

    assert error.value.reason is Reason.TIMEOUT


async def test_only_the_models_that_are_configured_are_opened():
    async with serving() as playing:
        config = Config(models=(playing.model(),), media=Media(speak="audio"))
        async with open_audio(config) as opened:
            assert opened.ears is None
            assert opened.voice is not None
            assert await opened.voice.speak("你好", "alloy")

    async with open_audio(Config()) as opened:
        assert (opened.ears, opened.voice) == (None, None)
    assert KEY not in repr(config)
