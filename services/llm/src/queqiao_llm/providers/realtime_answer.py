"""Reading an answer in OpenAI's Realtime protocol. Pure."""

import msgspec
from msgspec import Struct
from queqiao_common.events import UNREADABLE

from queqiao_llm.completion import Chunk, ModelFailed, Reason, Usage
from queqiao_llm.providers.http_status import reason_of

FINISHES = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""The reasons of an incomplete response, as the OpenAI chat protocol calls them."""


class _Error(Struct):
    """Its words are left out: they may quote the prompt."""

    type: str | None = None
    code: str | None = None


class _Details(Struct):
    reason: str | None = None
    error: _Error | None = None


class _Content(Struct):
    text: str | None = None


class _Item(Struct):
    content: list[_Content] | None = None


class _Usage(Struct):
    input_tokens: int = 0
    output_tokens: int = 0


class _Response(Struct):
    status: str = ""
    status_details: _Details | None = None
    output: list[_Item] | None = None
    usage: _Usage | None = None


class _Event(Struct):
    """Of the many types, those without these fields say nothing of the answer."""

    type: str
    delta: str | None = None
    response: _Response | None = None
    error: _Error | None = None


_NOTHING = _Details()
_decode = msgspec.json.Decoder(_Event).decode


class AnswerReader:
    """Turns the server's events into chunks. A server that sends no deltas says all at the end."""

    def __init__(self) -> None:
        self._spoke = False

    def feed(self, frame: bytes) -> Chunk | None:
        """Return what an event adds to the answer, if anything.

        Raises:
            ModelFailed: it is no event, or says that there will be no complete answer.
        """
        try:
            event = _decode(frame)
        except UNREADABLE as error:
            raise ModelFailed(Reason.GARBAGE, detail="not an event") from error
        match event:
            case _Event(type="response.output_text.delta", delta=str(text)) if text:
                self._spoke = True
                return Chunk(text)
            case _Event(type="response.done", response=_Response() as response):
                return self._last(response)
            case _Event(type="error", error=told):
                raise _failure_of(told)
            case _:
                return None

    def _last(self, response: _Response) -> Chunk:
        details = response.status_details or _NOTHING
        text = "" if self._spoke else _text(response)
        match response.status:
            case "completed":
                return Chunk(text, done=True, finish="stop", usage=_usage(response))
            case "incomplete" if finish := FINISHES.get(details.reason or ""):
                return Chunk(text, done=True, finish=finish, usage=_usage(response))
            case "failed":
                raise _failure_of(details.error)
            case _:  # cancelled, or cut short for a reason that we do not know
                raise ModelFailed(Reason.INCOMPLETE)


def _text(response: _Response) -> str:
    items = response.output or []
    return "".join(part.text or "" for item in items for part in item.content or [])


def _usage(response: _Response) -> Usage | None:
    if response.usage is None:
        return None
    return Usage(response.usage.input_tokens, response.usage.output_tokens)


def _failure_of(error: _Error | None) -> ModelFailed:
    """Say what an error means for the next attempt, by its code, else by its type."""
    match error:
        case _Error(code="rate_limit_exceeded" | "insufficient_quota"):
            status = 429
        case _Error(type="rate_limit_error" | "rate_limit_exceeded"):
            status = 429
        case _Error(code="invalid_api_key") | _Error(type="authentication_error"):
            status = 401
        case _Error(code="model_not_found"):
            status = 404
        case _Error(type="invalid_request_error"):
            status = 400
        case _:
            status = 0
    return ModelFailed(reason_of(status) if status else Reason.SERVER_ERROR, status=status)
