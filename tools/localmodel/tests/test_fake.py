"""The fake model over real HTTP."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx
import pytest
from queqiao_localmodel.fake import serving

CHAT = "/v1/chat/completions"


@asynccontextmanager
async def fake():
    """A client of a running fake model."""
    async with serving() as address, httpx.AsyncClient(base_url=address, timeout=10) as client:
        yield client


def prompt(text, *, model="fake", stream=True, **more):
    """The body of a call."""
    return {
        "model": model,
        "stream": stream,
        "messages": [{"role": "user", "content": text}],
    } | more


def events(response):
    """The decoded events of a stream, without [DONE]."""
    lines = [line for line in response.text.split("\n") if line]
    assert lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def text_of(response):
    return "".join(
        choice["delta"].get("content") or ""
        for event in events(response)
        for choice in event["choices"]
    )


async def test_a_stream_looks_like_llama_cpps():
    async with fake() as client:
        response = await client.post(CHAT, json=prompt("你好，世界"))

    opening, *content, closing = events(response)
    assert response.headers["content-type"] == "text/event-stream"
    assert opening["choices"][0]["delta"] == {"role": "assistant", "content": None}
    assert [each["choices"][0]["delta"]["content"] for each in content] == ["答：你好", "，世界"]
    assert closing["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}


async def test_usage_comes_last_and_without_choices():
    async with fake() as client:
        asked = prompt("你好，世界", stream_options={"include_usage": True})
        response = await client.post(CHAT, json=asked)

    last = events(response)[-1]
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


async def test_a_whole_answer_is_one_object():
    async with fake() as client:
        response = await client.post(CHAT, json=prompt("问", stream=False))

    [choice] = response.json()["choices"]
    assert choice["message"] == {"role": "assistant", "content": "答：问"}
    assert response.json()["usage"]["total_tokens"] == 2


async def test_merged_questions_stay_visible():
    async with fake() as client:
        response = await client.post(CHAT, json=prompt("第一问\n第二问"))

    assert text_of(response) == "答：第一问\n第二问"


async def test_many_callers_each_get_their_own_answer():
    async with fake() as client, asyncio.TaskGroup() as group:
        calls = [
            group.create_task(client.post(CHAT, json=prompt(f"问{number}[first=0.01]")))
            for number in range(50)
        ]
        answers = [text_of(await call) for call in calls]

    assert answers == [f"答：问{number}[first=0.01]" for number in range(50)]


async def test_a_refusal_says_when_to_come_back():
    async with fake() as client:
        response = await client.post(CHAT, json=prompt("[status=429;retry-after=1]"))

    assert response.status_code == 429
    assert response.headers["retry-after"] == "1"
    assert response.json()["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut_connection_is_an_error_of_the_transport(stream):
    async with fake() as client:
        with pytest.raises(httpx.TransportError):
            await client.post(CHAT, json=prompt("[disconnect]", stream=stream))


@pytest.mark.parametrize("stream", [True, False])
async def test_a_page_instead_of_an_answer_says_so_in_its_type(stream):
    async with fake() as client:
        response = await client.post(CHAT, json=prompt("[html]", stream=stream))

    assert (response.status_code, response.headers["content-type"]) == (200, "text/html")


@pytest.mark.parametrize("stream", [True, False])
async def test_garbage_is_not_json(stream):
    async with fake() as client:
        response = await client.post(CHAT, json=prompt("[garbage]", stream=stream))

    with pytest.raises(json.JSONDecodeError):
        events(response) if stream else response.json()


@pytest.mark.parametrize("stream", [True, False])
async def test_bad_utf8_is_bad(stream):
    async with fake() as client:
        response = await client.post(CHAT, json=prompt("[bad_utf8]", stream=stream))

    with pytest.raises(UnicodeDecodeError):
        response.content.decode()


async def test_an_empty_answer_is_a_correct_one():
    async with fake() as client:
        response = await client.post(CHAT, json=prompt("[empty]"))

    assert text_of(response) == ""
    assert events(response)[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_caller_that_leaves_is_noticed():
    """A client that gives up must also hang up, or models go on writing for nobody."""
    async with fake() as client:
        async with client.stream("POST", CHAT, json=prompt("[hang_mid]")) as response:
            assert await anext(response.aiter_lines())

        async with asyncio.timeout(5):
            while (report := (await client.get("/control/calls")).json())["active"]:
                pass

    assert report["abandoned"] == 1


async def test_calls_are_reported_without_headers():
    """Keys travel in headers: what is not kept cannot leak into a test's log."""
    async with fake() as client:
        await client.post(CHAT, json=prompt("甲"), headers={"Authorization": "Bearer sk-secret"})
        await client.post(CHAT, json=prompt("乙", model="other"))
        report = await client.get("/control/calls")

    assert report.json()["models"] == {"fake": 1, "other": 1}
    assert [body["messages"][0]["content"] for body in report.json()["requests"]] == ["甲", "乙"]
    assert "sk-secret" not in report.text


async def test_the_control_is_obeyed_and_reset():
    async with fake() as client:
        await client.put("/control", json={"fail": ["status=500"]})
        failed = await client.post(CHAT, json=prompt("问"))
        await client.post("/control/reset")
        answered = await client.post(CHAT, json=prompt("问"))

    assert (failed.status_code, answered.status_code) == (500, 200)


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", CHAT, "{", 400),
        ("POST", CHAT, b'{"messages":[{"role":"user","content":"\xff"}]}', 400),
        ("POST", CHAT, '{"model":"m"}', 400),
        ("PUT", "/control", '{"fail":["nonsense"]}', 400),
        ("GET", "/nowhere", "", 404),
        ("GET", "/health", "", 200),
        ("GET", "/v1/models?limit=1", "", 200),
    ],
)
async def test_every_request_has_an_answer(method, path, content, status):
    async with fake() as client:
        response = await client.request(method, path, content=content)

    assert response.status_code == status


async def test_requests_sent_ahead_are_answered_in_order():
    async with serving() as address:
        host, _, port = address.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        bodies = [json.dumps(prompt(text)) for text in ("[first=0.01]甲", "乙")]
        for body in bodies:
            head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write((head + body).encode())
        first = await reader.readuntil(b"[DONE]")
        second = await reader.readuntil(b"[DONE]")
        writer.close()
        await writer.wait_closed()

    assert ("甲" in first.decode(), "乙" in second.decode()) == (True, True)


async def test_what_is_not_http_is_refused():
    async with serving() as address:
        host, _, port = address.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        reply = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert reply.startswith(b"HTTP/1.1 400")
