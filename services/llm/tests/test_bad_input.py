"""Whatever a model's server sends: what the user reads in the end, and what operators are told."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from queqiao_common.settings import Model
from queqiao_common.testing import MemoryDocuments, received, request
from queqiao_llm.access import Access
from queqiao_llm.asking import Asking
from queqiao_llm.circuits import Circuits
from queqiao_llm.completion import Reason, question_of
from queqiao_llm.keys import Keys
from queqiao_llm.pace import Paces
from queqiao_llm.preparing import Prepared
from queqiao_llm.providers.opening import open_providers
from queqiao_llm.service import Llm

HANG = object()
RESET = object()
CLOSE = object()

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
PAGE = b"<html><body>Welcome to the hotel's WLAN</body></html>"
SAYS = 'data: {"choices":[{"delta":{"content":"甲一。\\n\\n甲二"}}]}\n\n'.encode()
ENDS = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
WHOLE = '{"choices":[{"message":{"content":"甲一。\\n\\n甲二"},"finish_reason":"stop"}]}'.encode()
CALL = (
    b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":'
    b'{"name":"clock","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n'
)


def response(status=200, body=b"{}", kind=b"application/json", *more):
    head = [b"HTTP/1.1 %d X" % status, b"Content-Type: " + kind, b"Connection: close"]
    return b"\r\n".join([*head, *more, b"", b""]) + body


READ = "answered"  # by this very model
NEXT = "next"  # by the next one, and nothing else was read before
ANEW = "anew"  # by the next one, from the beginning, if a piece of this one came before

TABLE = {
    "an answer": ((SSE, SAYS, ENDS), READ, None),
    "an answer called HTML": ((response(200, SAYS + ENDS, b"text/html"),), READ, None),
    "a whole answer called a stream": ((SSE, WHOLE), READ, None),
    "an answer in single bytes": ((SSE, *map(bytes, zip(SAYS + ENDS, strict=False))), READ, None),
    "comments and other fields": ((SSE, b": hi\r\nevent: x\r\nid: 1\r\n", SAYS, ENDS), READ, None),
    "an unknown event": ((SSE, b'data: {"object":"ping"}\n\n', SAYS, ENDS), READ, None),
    "a page": ((response(200, PAGE, b"text/html"),), NEXT, Reason.GARBAGE),
    "JSON that is no answer": ((response(200, b'{"hello":"world"}'),), NEXT, Reason.GARBAGE),
    "JSON of another shape": ((response(200, b'{"choices":"none"}'),), NEXT, Reason.GARBAGE),
    "JSON that just ends": ((response(200, WHOLE[:40]),), NEXT, Reason.GARBAGE),
    "an event that just ends": ((SSE, b'data: {"choices":[{"del'), NEXT, Reason.GARBAGE),
    "an event that is no JSON": ((SSE, SAYS, b"data: <html>\n\n"), ANEW, Reason.GARBAGE),
    "a byte that is no UTF-8": (
        (SSE, b'data: {"choices":[{"delta":{"content":"\xe5\xa5"}}]}\n\n', ENDS),
        NEXT,
        Reason.GARBAGE,
    ),
    "half of a character at the end": ((SSE, SAYS, SAYS[:42]), ANEW, Reason.GARBAGE),
    "half of a surrogate": (
        (SSE, b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n', ENDS),
        NEXT,
        Reason.GARBAGE,
    ),
    "bytes that are not zipped": (
        (response(200, b"not zipped", b"application/json", b"Content-Encoding: gzip"),),
        NEXT,
        Reason.DISCONNECTED,
    ),
    "a line of ten megabytes": (
        (SSE, b"data: ", *[b"x" * 1_000_000] * 10),
        NEXT,
        Reason.GARBAGE,
    ),
    "a document of ten megabytes": ((SSE, b"{", *[b" " * 1_000_000] * 10), NEXT, Reason.GARBAGE),
    "nothing": ((response(200, b""),), NEXT, Reason.GARBAGE),
    "an answer without a word": ((SSE, ENDS), NEXT, Reason.EMPTY),
    "a call of a tool that nobody offered": ((SSE, CALL), NEXT, Reason.EMPTY),
    "an error in the stream": (
        (SSE, SAYS, b'data: {"error":{"code":500,"message":"boom"}}\n\n'),
        ANEW,
        Reason.SERVER_ERROR,
    ),
    "no word of HTTP": ((b"SSH-2.0-OpenSSH_9.6\r\n",), NEXT, Reason.DISCONNECTED),
    "silence": ((HANG,), NEXT, Reason.FIRST_TOKEN_TIMEOUT),
    "silence behind the head": ((SSE, HANG), NEXT, Reason.FIRST_TOKEN_TIMEOUT),
    "silence in the middle": ((SSE, SAYS, HANG), ANEW, Reason.TIMEOUT),
    "a hang-up before a word": ((CLOSE,), NEXT, Reason.UNREACHABLE),
    "a reset before a word": ((RESET,), NEXT, Reason.UNREACHABLE),
    "a reset in the middle": (
        (response(200, SAYS, b"text/event-stream", b"Content-Length: 9999"), RESET),
        ANEW,
        Reason.DISCONNECTED,
    ),
    "a clean end in the middle": ((SSE, SAYS), ANEW, Reason.INCOMPLETE),
    "less than was promised": (
        (response(200, SAYS, b"text/event-stream", b"Content-Length: 9999"),),
        ANEW,
        Reason.DISCONNECTED,
    ),
    **{
        f"a {status}": ((response(status),), NEXT, Reason.REFUSED)
        for status in (302, 400, 401, 402, 403, 404, 405, 413, 415, 422, 451)
    },
    **{
        f"a {status}": ((response(status),), NEXT, Reason.SERVER_ERROR)
        for status in (408, 500, 501, 502, 503, 504, 529)
    },
    "a 429": ((response(429),), NEXT, Reason.RATE_LIMITED),
    "a page with a 502": ((response(502, PAGE, b"text/html"),), NEXT, Reason.SERVER_ERROR),
}


@asynccontextmanager
async def server(*steps):
    """A server that reads a question and does this."""

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-le"))
        await reader.readexactly(int(size.partition(b":")[2]))
        try:
            for step in steps:
                if step is HANG:
                    await reader.read()
                elif step is RESET:
                    writer.transport.abort()
                elif step is not CLOSE:
                    writer.write(step)
                    await writer.drain()
        except ConnectionError:
            pass  # whoever asked has heard enough
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"


def patience(steps):
    """How long a model may take: little where it is silent, and plenty on a machine at work."""
    if HANG not in steps:
        return {"first_token_timeout": 20.0, "timeout": 20.0}
    if SAYS in steps:
        return {"first_token_timeout": 20.0, "timeout": 1.0}
    return {"first_token_timeout": 0.3, "timeout": 20.0}


@asynccontextmanager
async def llm(steps, **addresses):
    """A route over these models, each with one try."""
    models = [
        Model(
            id=name,
            base_url=url,
            model=name,
            retries=0,
            **patience(steps if name == "bad" else ()),
        )
        for name, url in addresses.items()
    ]

    def now():
        return asyncio.get_running_loop().time()

    def now_ms():
        return int(now() * 1000)

    keys = Keys(models, now)
    async with open_providers(models, connections=4) as providers:
        asking = Asking(
            providers,
            circuits=Circuits(models, now),
            keys=keys,
            access=Access(models, keys, MemoryDocuments(), replica="a", now_ms=now_ms),
            paces=Paces(models, segment_bytes=1),
            segment_bytes=1,
        )
        yield Llm(asking, routes={"default": tuple(models)}, now_ms=now_ms)


async def read(service):
    """What the user reads: the texts of the pieces in the order of their attempts."""
    deadline = int(asyncio.get_running_loop().time() * 1000) + 60_000
    turn = request(deadline_ms=deadline)
    said = service.write(received(turn), Prepared(question_of(turn.prompt)))
    return [one.segment async for one in said]


@pytest.mark.parametrize("case", TABLE)
async def test_the_user_reads_an_answer_whatever_the_first_model_sends(case, caplog):
    steps, outcome, reason = TABLE[case]
    good = (SSE, SAYS.replace("甲".encode(), "乙".encode()), ENDS)
    async with (
        server(*steps) as bad_url,
        server(*good) as good_url,
        llm(steps, bad=bad_url, good=good_url) as service,
    ):
        events = await read(service)

    texts = [one.text for one in events]
    if outcome is ANEW and texts[0] == "甲一。":  # else the network joined what was sent in parts
        texts.pop(0)
    assert texts == (["甲一。", "甲二"] if outcome is READ else ["乙一。", "乙二"])
    assert events[-1].final
    assert len({one.attempt for one in events if one.text.startswith("甲")}) <= 1
    told = [one.reason for one in caplog.records if one.message == "model.failed"]
    assert told == ([reason] if reason else [])


@pytest.mark.parametrize("case", [name for name, row in TABLE.items() if row[1] != READ])
async def test_the_turn_is_told_at_once_when_there_is_no_other_model(case):
    """Context says that no answer was found; the user does not wait for the deadline."""
    steps = TABLE[case][0]
    async with server(*steps) as url, llm(steps, bad=url) as service:
        events = await read(service)

    assert (events[-1].failed, events[-1].final, events[-1].text) == (True, True, "")
    assert events[-1].number == 0
