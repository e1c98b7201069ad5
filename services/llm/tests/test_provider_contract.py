"""What every provider promises, whatever protocol its model speaks: one suite for all of them."""

import asyncio
import contextlib
import logging
import traceback
from contextlib import aclosing, asynccontextmanager

import pytest
from msgspec import structs
from queqiao_llm.circuits import is_blameless
from queqiao_llm.completion import Message, ModelFailed, Question, Reason, Usage
from queqiao_llm.providers.opening import open_providers
from queqiao_llm.writing import in_time

from services.llm.tests.fakes import kserve, openai, realtime, spark
from services.llm.tests.fakes.scenes import Scene, answer

PROTOCOLS = {
    "openai": (openai.serving, openai.settings),
    "kserve-triton": (kserve.serving_triton, kserve.triton),
    "kserve-mlserver": (kserve.serving_mlserver, kserve.mlserver),
    "kserve-mlserver-whole": (kserve.serving_mlserver, kserve.mlserver_whole),
    "spark": (spark.serving, spark.settings),
    "realtime": (realtime.serving, realtime.settings),
}
STREAMING = [name for name in PROTOCOLS if name != "kserve-mlserver-whole"]
COUNTING = ["openai", "spark", "realtime"]
QUESTION = "秘密的问题，鹊桥在哪里？"
PROMPT = (
    Message("system", "你是助手"),
    Message("user", "你好"),
    Message("assistant", "你好！\n\n有什么事？"),
    Message("user", QUESTION),
)


@pytest.fixture(params=PROTOCOLS)
def protocol(request):
    return request.param


@asynccontextmanager
async def playing(protocol, scene, **settings):
    """A fake model that plays a scene, and the provider that speaks to it."""
    serving, settings_of = PROTOCOLS[protocol]
    async with serving(scene) as play:
        model = settings_of(play.url, **settings)
        async with open_providers([model], connections=4) as providers:
            yield play, providers[model.id][0], model


async def asked(provider, prompt=PROMPT):
    return [chunk async for chunk in provider.complete(Question(prompt))]


def text_of(chunks):
    return "".join(chunk.text for chunk in chunks)


async def failed(provider):
    """How the provider fails, and what it said before."""
    said = []
    try:
        async for chunk in provider.complete(Question(PROMPT)):
            said.append(chunk)  # noqa: PERF401 - what came before the failure counts
    except ModelFailed as failure:
        return failure, text_of(said)
    raise AssertionError(f"it did not fail, but said {text_of(said)}")


@pytest.mark.parametrize("scene", [Scene.STREAMED, Scene.WHOLE])
async def test_an_answer_arrives_whole_and_says_that_it_is_complete(protocol, scene):
    async with playing(protocol, scene) as (_, provider, _):
        chunks = await asked(provider)

    assert text_of(chunks) == answer(QUESTION)
    assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


@pytest.mark.parametrize("protocol", STREAMING)
async def test_a_streamed_answer_is_passed_on_as_it_comes(protocol):
    async with playing(protocol, Scene.STREAMED) as (_, provider, _):
        chunks = await asked(provider)

    assert len([chunk for chunk in chunks if chunk.text]) > 1


@pytest.mark.parametrize("protocol", COUNTING)
async def test_what_an_answer_cost_comes_with_its_end(protocol):
    async with playing(protocol, Scene.STREAMED) as (_, provider, _):
        chunks = await asked(provider)

    assert chunks[-1].usage == Usage(prompt_tokens=3, completion_tokens=5)


async def test_the_model_hears_the_conversation_in_its_order(protocol):
    async with playing(protocol, Scene.STREAMED) as (play, provider, _):
        await asked(provider)

    assert play.heard == [(one.role, one.content) for one in PROMPT]


async def test_turns_at_the_same_time_are_not_mixed(protocol):
    """A user must never read another user's answer."""
    questions = ["甲问", "乙问", "丙问"]
    async with playing(protocol, Scene.STREAMED) as (_, provider, _):
        answers = await asyncio.gather(
            *(asked(provider, (Message("user", question),)) for question in questions)
        )

    assert [text_of(chunks) for chunks in answers] == [answer(question) for question in questions]


async def test_an_answer_without_text_is_complete_and_empty(protocol):
    """Whether that will do is not the provider's to decide."""
    async with playing(protocol, Scene.EMPTY) as (_, provider, _):
        chunks = await asked(provider)

    assert text_of(chunks) == ""
    assert chunks[-1].done


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        (Scene.ERROR, Reason.SERVER_ERROR),
        (Scene.RATE_LIMITED, Reason.RATE_LIMITED),
        (Scene.CUT, Reason.DISCONNECTED),
        (Scene.GARBAGE, Reason.GARBAGE),
    ],
)
async def test_every_way_to_fail_has_its_reason(protocol, scene, reason):
    async with playing(protocol, scene) as (_, provider, _):
        failure, _ = await failed(provider)

    assert failure.reason is reason
    assert not is_blameless(failure)


@pytest.mark.parametrize("protocol", STREAMING)
@pytest.mark.parametrize("scene", [Scene.CUT, Scene.GARBAGE])
async def test_what_was_said_before_the_end_has_been_passed_on(protocol, scene):
    async with playing(protocol, scene) as (_, provider, _):
        _, said = await failed(provider)

    # gRPC drops what it has not handed over yet when the connection breaks; others never do.
    assert said or (protocol.startswith("kserve") and scene is Scene.CUT)
    assert answer(QUESTION).startswith(said)


@pytest.mark.parametrize("protocol", ["openai", "kserve-triton", "kserve-mlserver"])
async def test_a_model_may_say_how_long_it_wants_to_be_left_alone(protocol):
    async with playing(protocol, Scene.RATE_LIMITED) as (_, provider, _):
        failure, _ = await failed(provider)

    assert failure.after == 7


async def test_a_wrong_key_is_refused_and_counts_against_the_model(protocol):
    """The next model of the route answers, and this one is soon left alone."""
    async with playing(protocol, Scene.STREAMED, key="wrong-key") as (_, provider, _):
        failure, _ = await failed(provider)

    assert (failure.reason, failure.status) == (Reason.REFUSED, 401)
    assert not is_blameless(failure)


async def test_nobody_at_the_address_is_unreachable(protocol):
    serving, settings_of = PROTOCOLS[protocol]
    async with serving(Scene.STREAMED) as play:
        model = settings_of(play.url)
    async with open_providers([model], connections=1) as providers:
        failure, _ = await failed(providers[model.id][0])

    assert failure.reason is Reason.UNREACHABLE


async def test_a_model_that_says_nothing_is_left_and_notices_it(protocol):
    """Else it would go on writing for nobody, on a machine that others wait for."""
    async with playing(protocol, Scene.HANG) as (play, provider, model):
        for patience in (0.3, 2.0, 8.0):  # on a busy machine the question takes longer to arrive
            hasty = structs.replace(model, first_token_timeout=patience)
            with pytest.raises(ModelFailed) as error:
                async with (
                    aclosing(provider.complete(Question(PROMPT))) as chunks,
                    aclosing(in_time(chunks, hasty, left=30.0)) as timed,
                ):
                    [_ async for _ in timed]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await play.abandoned.wait()
            if play.abandoned.is_set():
                break

    assert play.abandoned.is_set()
    assert error.value.reason is Reason.FIRST_TOKEN_TIMEOUT


@pytest.mark.parametrize("scene", [Scene.STREAMED, Scene.ERROR, Scene.CUT, Scene.GARBAGE])
async def test_no_prompt_answer_or_key_is_logged_or_told_by_a_failure(protocol, scene, caplog):
    told = ""
    with caplog.at_level(logging.DEBUG):
        async with playing(protocol, scene) as (_, provider, _):
            try:
                await asked(provider)
            except ModelFailed as failure:
                told = "".join(traceback.format_exception(failure))

    ours = [one for one in caplog.records if not one.name.startswith("websockets.server")]
    logged = " ".join(f"{one.getMessage()} {one.__dict__}" for one in ours)
    for secret in ("秘密", "right-key", "right-secret"):
        assert secret not in logged
        assert secret not in told
