"""Reading an answer in the OpenAI chat protocol, streamed or whole. Pure."""

import msgspec
from msgspec import Struct
from queqiao_common.events import UNREADABLE

from queqiao_llm.completion import MAX_ANSWER, Call, Chunk, ModelFailed, Reason, Usage
from queqiao_llm.providers.http_status import reason_of
from queqiao_llm.sse import EventReader, LineTooLongError

DONE = b"[DONE]"


class _Function(Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(Struct):
    """A call of a tool, or more of one: its arguments come in many parts."""

    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Text(Struct):
    """A delta or a message. Thoughts are a sign of life, but never a part of the answer."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


_NOTHING = _Text()
_NAMELESS = _Function()


class _Choice(Struct):
    delta: _Text | None = None
    message: _Text | None = None
    finish_reason: str | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Part(Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


class _Error(Struct):
    code: int | str | None = None
    type: str | None = None


_decode = msgspec.json.Decoder(_Part).decode
_decode_error = msgspec.json.Decoder(_Error).decode


class AnswerReader:
    """Turns the body of a response into chunks, at most one for each piece of the body.

    A server that ignores `stream` sends one JSON document instead: its first byte tells, as the
    content type is often wrong. An answer is complete with `[DONE]` or, as some servers leave that
    out, with a finish reason before the end of the body; anything else was cut off.
    """

    def __init__(self) -> None:
        self._events: EventReader | None = None
        self._document: bytearray | None = None
        self._size = 0
        self._seen = False
        self._finish = ""
        self._usage: Usage | None = None
        self._calls: dict[int, Call] = {}
        self.done = False

    def feed(self, body: bytes) -> Chunk | None:
        """Return what this piece of the body adds to the answer.

        Raises:
            ModelFailed: it is no such answer, or an error that the server sent within it.
        """
        self._size += len(body)
        if self._size > MAX_ANSWER:
            raise ModelFailed(Reason.GARBAGE, detail=f"more than {MAX_ANSWER} bytes")
        if self._events is None and self._document is None:
            body = body.removeprefix(b"\xef\xbb\xbf").lstrip()
            if not body:
                return None
            self._begin(body)
        if self._document is not None:
            self._document += body
            return None
        return self._take(self._payloads(body))

    def finish(self) -> Chunk:
        """Return the last chunk, once the body has ended.

        Raises:
            ModelFailed: the answer was cut off, or is none.
        """
        if self._document is not None:
            return self._whole(self._document)
        last = self._take(self._events.finish()) if self._events else None
        if last is not None and last.done:
            return last
        if not self._finish:
            raise ModelFailed(Reason.INCOMPLETE if self._seen else Reason.GARBAGE)
        return self._last(last.text if last else "")

    def _begin(self, body: bytes) -> None:
        if body.startswith(b"{"):
            self._document = bytearray()
        else:
            self._events = EventReader()

    def _payloads(self, body: bytes) -> list[bytes]:
        if self._events is None:
            return []
        try:
            return self._events.feed(body)
        except LineTooLongError as error:
            raise ModelFailed(Reason.GARBAGE, detail=str(error)) from error

    def _take(self, payloads: list[bytes]) -> Chunk | None:
        text, alive = "", False
        for payload in payloads:
            if payload == DONE:
                return self._last(text)
            said = self._add(_parse(payload))
            text += said.content or ""
            alive = alive or bool(said.reasoning_content or said.reasoning or said.tool_calls)
        return Chunk(text) if text or alive else None

    def _add(self, part: _Part) -> _Text:
        """Take note of one event, and return what it says."""
        self._seen = True
        self._usage = _usage(part) or self._usage
        if not part.choices:
            return _NOTHING
        choice = part.choices[0]
        self._finish = choice.finish_reason or self._finish
        said = choice.delta or choice.message or _NOTHING
        for more in said.tool_calls or ():
            self._add_call(more)
        return said

    def _add_call(self, more: _Call) -> None:
        """Take note of a call, or of more of its arguments.

        Servers that send calls whole leave out which one it is, or say 0 of each: an id is new.
        """
        function = more.function or _NAMELESS
        at = len(self._calls) if more.index is None else more.index
        known = self._calls.get(at)
        if known is not None and more.id and more.id != known.id:
            at, known = max(self._calls) + 1, None
        old = known or Call(more.id or f"call_{at}", "", "")
        self._calls[at] = Call(
            old.id, old.name or function.name or "", old.arguments + (function.arguments or "")
        )

    def _last(self, text: str) -> Chunk:
        self.done = True
        calls = tuple(call for _, call in sorted(self._calls.items()))
        return Chunk(text, done=True, finish=self._finish, usage=self._usage, calls=calls)

    def _whole(self, document: bytearray) -> Chunk:
        part = _parse(document)
        if not part.choices:
            raise ModelFailed(Reason.GARBAGE, detail="no choices")
        return self._last(self._add(part).content or "")


def _parse(document: bytes | bytearray) -> _Part:
    try:
        part = _decode(document)
    except UNREADABLE as error:
        raise ModelFailed(Reason.GARBAGE, detail="not a chunk") from error
    if bytes(part.error) != b"null":
        raise _told(part.error)
    return part


def _told(error: msgspec.Raw) -> ModelFailed:
    """Read an error that came with status 200, in the stream or instead of an answer."""
    try:
        told = _decode_error(error)
    except UNREADABLE:
        told = _Error()
    named = str(told.code)
    code = int(named) if named.isdecimal() else 0
    if not code and "rate_limit" in f"{named} {told.type}":
        code = 429
    return ModelFailed(reason_of(code) if code else Reason.SERVER_ERROR, status=code)


def _usage(part: _Part) -> Usage | None:
    if part.usage is None:
        return None
    return Usage(part.usage.prompt_tokens or 0, part.usage.completion_tokens or 0)
