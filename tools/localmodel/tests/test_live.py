"""The real local model, in its own process, answering real questions."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

import httpx
import pytest
from queqiao_localmodel.weights import cache_folder, cached

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        cached(cache_folder()) is None,
        reason="no weights: run `python -m queqiao_localmodel --prepare` first",
    ),
]

CAPITAL = {"role": "user", "content": "中国的首都是哪里？"}


@asynccontextmanager
async def process():
    """The process, and a client of it; SIGTERM at the end."""
    command = [sys.executable, "-m", "queqiao_localmodel", "--port", "0"]
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(30):
            ready = (await running.stdout.readline()).decode()
        address = ready.split()[-1].removesuffix("/v1")
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            yield running, client
    finally:
        if running.returncode is None:
            running.terminate()
            await running.wait()


@pytest.fixture(scope="module")
async def client():
    async with process() as (_, client):
        yield client


async def answer(client, *messages, **more):
    body = {"model": "local", "messages": messages} | more
    response = await client.post("/v1/chat/completions", json=body)
    return response.json()["choices"][0]["message"]["content"]


async def test_it_knows_the_capital_of_china(client):
    assert "北京" in await answer(client, CAPITAL)


async def test_it_greets(client):
    assert "你好" in await answer(client, {"role": "user", "content": "你好"})


async def test_it_follows_a_conversation(client):
    told = {"role": "assistant", "content": "中国的首都是北京。"}

    assert "巴黎" in await answer(client, CAPITAL, told, {"role": "user", "content": "那法国呢？"})


async def test_a_persona_and_a_temperature_change_nothing(client):
    """The pipeline always sends a persona, and this model would lose its head over it."""
    persona = {"role": "system", "content": "你是某公司的客服小鹊，请礼貌、简短地回答。"}
    question = {"role": "user", "content": "推荐一本好书"}

    plain = await answer(client, question)

    assert await answer(client, persona, question, temperature=0.9) == plain


async def test_it_remembers_two_exchanges_and_no_system_message(client):
    messages = [{"role": "system", "content": "persona"}] + [
        {"role": role, "content": f"{role}{number}"}
        for number in range(4)
        for role in ("user", "assistant")
    ]
    response = await client.post("/apply-template", json={"messages": messages[:-1]})

    shown = response.json()["prompt"]

    assert "persona" not in shown
    assert "assistant0" not in shown
    assert shown.startswith("<|im_start|>system\nYou are a helpful assistant<|im_end|>\n")
    assert shown.count("<|im_start|>user\n") == 3


async def test_a_stream_starts_without_text_and_ends_with_usage(client):
    body = {"stream": True, "stream_options": {"include_usage": True}, "messages": [CAPITAL]}
    response = await client.post("/v1/chat/completions", json=body)

    *lines, done = [line for line in response.text.split("\n") if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert done == "data: [DONE]"
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": None}
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] > 0


async def test_eight_callers_are_answered(client):
    answers = await asyncio.gather(*(answer(client, CAPITAL) for _ in range(8)))

    assert all("北京" in text for text in answers)


async def test_it_is_healthy(client):
    assert (await client.get("/health")).json() == {"status": "ok"}


async def test_it_ends_when_asked_even_in_the_middle_of_an_answer():
    async with process() as (running, client):
        body = {"stream": True, "max_tokens": 3000, "ignore_eos": True, "messages": [CAPITAL]}
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            assert await anext(response.aiter_lines())
            running.terminate()
            async with asyncio.timeout(5):
                assert await running.wait() == 0
