import asyncio

import httpx
import msgspec
import pytest
from queqiao_common.settings import Model, Secret
from queqiao_common.testing import left_in_cycles
from queqiao_llm.completion import Message, ModelFailed, Question, Reason
from queqiao_llm.providers.http_status import retry_after
from queqiao_llm.providers.openai import OpenAi, open_http
from queqiao_localmodel.fake import serving

PROMPT = (Message("system", "你是助手"), Message("user", "你好"))
ANSWER = b'data: {"choices":[{"delta":{"content":"\xe5\xa5\xbd"},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def model(url="http://model/v1", **settings):
    return Model(id="main", base_url=url, model="some-model", **settings)


def answering(*answers: httpx.Response | Exception, seen: list[httpx.Request]):
    """A client whose requests are answered from a list, and remembered."""
    left = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return httpx.AsyncClient(transport=httpx.MockTransport(handle))


async def ask(provider, prompt=PROMPT):
    return [chunk async for chunk in provider.complete(Question(prompt))]


async def failure(answer):
    async with answering(answer, seen=[]) as http:
        with pytest.raises(ModelFailed) as error:
            await ask(OpenAi(http, model()))
    return error.value


async def test_the_request_says_what_is_configured():
    seen: list[httpx.Request] = []
    async with answering(httpx.Response(200, content=ANSWER + DONE), seen=seen) as http:
        settings = model("http://model/v1/", api_key=Secret("sk-1"), temperature=0.5, max_tokens=9)
        chunks = await ask(OpenAi(http, settings))

    [request] = seen
    assert "".join(chunk.text for chunk in chunks) == "好"
    assert str(request.url) == "http://model/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer sk-1"
    assert msgspec.json.decode(request.content) == {
        "model": "some-model",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "max_tokens": 9,
        "messages": [
            {"role": "system", "content": "你是助手"},
            {"role": "user", "content": "你好"},
        ],
    }


async def test_further_fields_of_the_request_are_the_operators():
    seen: list[httpx.Request] = []
    async with answering(httpx.Response(200, content=ANSWER + DONE), seen=seen) as http:
        parameters = {"response_format": {"type": "json_object"}, "model": "another", "top_p": 0.9}
        await ask(OpenAi(http, model(parameters=parameters)))

    body = msgspec.json.decode(seen[0].content)
    assert body["response_format"] == {"type": "json_object"}
    assert (body["top_p"], body["model"]) == (0.9, "some-model")


async def test_without_a_key_none_is_sent():
    """Local models need none, and some refuse an empty one."""
    seen: list[httpx.Request] = []
    async with answering(httpx.Response(200, content=ANSWER + DONE), seen=seen) as http:
        await ask(OpenAi(http, model()))

    assert "authorization" not in seen[0].headers


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.REFUSED),
        (401, Reason.REFUSED),
        (302, Reason.REFUSED),
        (408, Reason.SERVER_ERROR),
        (429, Reason.RATE_LIMITED),
        (500, Reason.SERVER_ERROR),
        (503, Reason.SERVER_ERROR),
    ],
)
async def test_a_status_is_a_reason(status, reason):
    found = await failure(httpx.Response(status, text="secret prompt"))

    assert (found.reason, found.status) == (reason, status)
    assert "secret" not in str(found)


async def test_the_wish_to_wait_is_read():
    limited = httpx.Response(429, headers={"Retry-After": "7"})

    assert (await failure(limited)).after == 7


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ConnectError("http://key@host"), Reason.UNREACHABLE),
        (httpx.ConnectTimeout(""), Reason.UNREACHABLE),
        (httpx.ReadError(""), Reason.DISCONNECTED),
        (httpx.RemoteProtocolError(""), Reason.DISCONNECTED),
        (httpx.UnsupportedProtocol(""), Reason.DISCONNECTED),
    ],
)
async def test_no_error_of_the_client_library_gets_out(error, reason):
    found = await failure(error)

    assert found.reason is reason
    assert "key@host" not in str(found)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("5", 5.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 00:00:10 GMT", 10.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert retry_after(header, now=1_767_225_600.0) == seconds


@pytest.fixture
async def fake():
    async with serving() as address, open_http(8) as http:
        yield OpenAi(http, model(f"{address}/v1")), http, address


def question(directive):
    return (Message("user", f"{directive}你好"),)


async def test_a_whole_answer_arrives_with_its_usage(fake):
    provider, _, _ = fake

    chunks = await ask(provider, question("[paragraphs=3;bytes=600]"))

    assert len("".join(chunk.text for chunk in chunks).encode()) == 600
    assert chunks[-1].done
    assert chunks[-1].finish == "stop"
    assert chunks[-1].usage


@pytest.mark.parametrize(
    ("directive", "reason"),
    [
        ("[status=500]", Reason.SERVER_ERROR),
        ("[status=429;retry-after=1]", Reason.RATE_LIMITED),
        ("[disconnect]", Reason.DISCONNECTED),
        ("[half]", Reason.INCOMPLETE),
        ("[garbage]", Reason.GARBAGE),
        ("[bad_utf8]", Reason.GARBAGE),
        ("[html]", Reason.GARBAGE),
    ],
)
async def test_every_way_to_fail_has_its_reason(fake, directive, reason):
    provider, _, _ = fake

    with pytest.raises(ModelFailed) as error:
        await ask(provider, question(directive))

    assert error.value.reason is reason


async def test_a_connection_is_used_again(fake):
    """A new TLS connection for each turn would cost more than the rest of our work."""
    provider, http, _ = fake

    for _ in range(3):
        await ask(provider, question("[bytes=2000]"))

    kept = http._transport.client.connector._conns.values()
    assert sum(len(connections) for connections in kept) == 1


async def test_an_answer_leaves_nothing_to_the_cycle_collector(fake):
    provider, _, _ = fake

    left = await left_in_cycles(lambda: ask(provider, question("[bytes=600]")))

    assert left < 5


async def test_a_cookie_is_left_to_the_connections(fake):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    _, http, _ = fake
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        response = await http.get(f"http://127.0.0.1:{port}")

    assert response.headers["set-cookie"] == "a=b"
    assert not http.cookies


async def test_nobody_at_the_address_is_unreachable():
    async with serving() as address:
        pass
    async with open_http(1) as http:
        with pytest.raises(ModelFailed) as error:
            await ask(OpenAi(http, model(f"{address}/v1")))

    assert error.value.reason is Reason.UNREACHABLE
