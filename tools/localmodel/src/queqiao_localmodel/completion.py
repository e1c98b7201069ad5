"""The OpenAI chat protocol: a request in, the steps of a response out. Pure."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from queqiao_localmodel.framing import END_OF_STREAM, STREAM_HEAD, event, head, refusal, response
from queqiao_localmodel.script import Fault, Script, answer, tokens

CREATED = 1_700_000_000  # every answer is of the same second: the same call, the same bytes
TICK = 0.01  # seconds; faster tokens leave in groups


class Wait(Struct, frozen=True):
    """Send nothing for this long."""

    seconds: float


class Cut(Struct, frozen=True):
    """Reset the connection."""


NEVER = Wait(math.inf)
Step = bytes | Wait | Cut


class Part(Struct, frozen=True):
    """One part of a message that has several, such as text and a picture."""

    type: str = ""
    text: str = ""


class Message(Struct, frozen=True):
    """One message of the prompt."""

    role: str
    content: str | tuple[Part, ...] | None = None

    @property
    def text(self) -> str:
        """What is written in it, text parts one below the other."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return "\n".join(part.text for part in self.content if part.type == "text")


class StreamOptions(Struct, frozen=True):
    """What a stream holds besides the text."""

    include_usage: bool = False


class ChatRequest(Struct, frozen=True):
    """The fields of a request that decide its answer; all others are ignored."""

    messages: tuple[Message, ...]
    model: str = ""
    stream: bool = False
    stream_options: StreamOptions | None = None

    @property
    def question(self) -> str:
        """The last user message: what the answer repeats."""
        return next((each.text for each in reversed(self.messages) if each.role == "user"), "")

    @property
    def wants_usage(self) -> bool:
        """Whether the stream ends with a count of its tokens."""
        return self.stream_options is not None and self.stream_options.include_usage


decode_request = msgspec.json.Decoder(ChatRequest).decode
_encode = msgspec.json.encode


def respond(request: ChatRequest, script: Script, number: int) -> Iterator[Step]:
    """The response to the call of this number: bytes to send, pauses, perhaps a cut."""
    if script.delay:
        yield Wait(script.delay)
    if script.fault is Fault.HANG:
        yield NEVER
    elif script.status != 200:
        message = f"the script asks for status {script.status}"
        yield refusal(script.status, message, retry_after=script.retry_after)
    elif script.fault is Fault.HTML:
        page = "<html><body><h1>502 Bad Gateway</h1></body></html>"
        yield response(200, page.encode(), content_type="text/html")
    else:
        shape = _stream if request.stream else _whole
        yield from shape(request, script, number)


def _stream(request: ChatRequest, script: Script, number: int) -> Iterator[Step]:
    pieces = tokens(answer(request.question, script), script.chunk)
    about = _about("chat.completion.chunk", request.model, number)
    before = _encode(about)[:-1] + b',"choices":[{"index":0,"delta":'
    events = [
        event(before + b'{"content":' + _encode(piece) + b'},"finish_reason":null}]}')
        for piece in pieces
    ]
    # Like llama.cpp's: a role, and no text yet.
    opening = event(before + b'{"role":"assistant","content":null},"finish_reason":null}]}')
    yield STREAM_HEAD + opening
    if script.first:
        yield Wait(script.first)
    if script.fault in _BROKEN_STREAMS:
        yield from _paced(events[: _half(events)], script.tokens_per_second)
        yield from _BROKEN_STREAMS[script.fault]
        return
    yield from _paced(events, script.tokens_per_second)
    yield event(before + b'{},"finish_reason":"stop"}]}')
    if request.wants_usage:
        usage = about | {"choices": (), "usage": _usage(request, pieces)}
        yield event(_encode(usage))
    yield _END


_END = event(b"[DONE]") + END_OF_STREAM
_NOT_JSON = event(b'{"choices":[{"delta":{"content":"')
_NOT_UTF8 = event(
    b'{"choices":[{"index":0,"delta":{"content":"\xe4\xbd\xff"},"finish_reason":"stop"}]}'
)

# What follows the first half of an answer. A pause before a cut: else the half is cut off, too.
_BROKEN_STREAMS: dict[Fault | None, Sequence[Step]] = {
    Fault.HANG_MID: (NEVER,),
    Fault.DISCONNECT: (Wait(TICK), Cut()),
    Fault.HALF: (END_OF_STREAM,),
    Fault.GARBAGE: (_NOT_JSON, _END),
    Fault.BAD_UTF8: (_NOT_UTF8, _END),
}


def _whole(request: ChatRequest, script: Script, number: int) -> Iterator[Step]:
    text = answer(request.question, script)
    pieces = tokens(text, script.chunk)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    about = _about("chat.completion", request.model, number)
    body = _encode(about | {"choices": (choice,), "usage": _usage(request, pieces)})
    writing = len(pieces) / script.tokens_per_second if script.tokens_per_second else 0.0
    if script.first + writing:
        yield Wait(script.first + writing)
    yield from _delivered(body, script.fault)


def _delivered(body: bytes, fault: Fault | None) -> Iterator[Step]:
    """A body, whole or as the fault leaves it."""
    half = body[: _half(body)]
    cut_short = head(200, len(body), content_type="application/json") + half
    match fault:
        case Fault.HANG_MID:
            yield from (cut_short, NEVER)
        case Fault.DISCONNECT:
            yield from (cut_short, Wait(TICK), Cut())
        case Fault.HALF:
            yield response(200, half)
        case Fault.GARBAGE:
            yield response(200, b"<<< not JSON >>>")
        case Fault.BAD_UTF8:
            yield response(200, body[:-1] + b',"note":"\xe4\xbd\xff"}')
        case _:
            yield response(200, body)


def _about(kind: str, model: str, number: int) -> dict[str, Any]:
    return {"id": f"chatcmpl-{number}", "object": kind, "created": CREATED, "model": model}


def _usage(request: ChatRequest, pieces: list[str]) -> dict[str, int]:
    """A character of the prompt is a token: wrong everywhere, and the same everywhere."""
    prompt = sum(len(message.text) for message in request.messages)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": len(pieces),
        "total_tokens": prompt + len(pieces),
    }


def _paced(events: list[bytes], rate: float) -> Iterator[Step]:
    """Events, at most `rate` of them a second (0: all at once)."""
    group = max(1, round(rate * TICK)) if rate else max(1, len(events))
    for start in range(0, len(events), group):
        if rate:
            yield Wait(group / rate)
        yield b"".join(events[start : start + group])


def _half(whole: Sequence[Any]) -> int:
    return (len(whole) + 1) // 2
