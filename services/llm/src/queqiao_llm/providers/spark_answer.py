"""Reading an answer in iFlytek Spark's chat protocol. Pure."""

import msgspec
from msgspec import Struct
from queqiao_common.events import UNREADABLE

from queqiao_llm.completion import Chunk, ModelFailed, Reason, Usage

LAST = 2
"""The `status` of the last frame; 0 and 1 are those of the first and the others."""
A_DAY = 86_400.0


class _Header(Struct):
    """What it says in words is left out: a refusal's quotes the user."""

    code: int
    status: int = 0


class _Text(Struct):
    """Thoughts are a sign of life, but never a part of the answer."""

    content: str | None = None
    reasoning_content: str | None = None


class _Choices(Struct):
    text: list[_Text] = []


class _Tokens(Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Usage(Struct):
    text: _Tokens | None = None


class _Payload(Struct):
    choices: _Choices | None = None
    usage: _Usage | None = None


class _Frame(Struct):
    header: _Header
    payload: _Payload | None = None


_NOTHING = _Payload()
_decode = msgspec.json.Decoder(_Frame).decode


def read(frame: bytes) -> Chunk | None:
    """Return what a frame adds to the answer, if anything.

    Raises:
        ModelFailed: it is no frame of an answer, or an error.
    """
    try:
        said = _decode(frame)
    except UNREADABLE as error:
        raise ModelFailed(Reason.GARBAGE, detail="not a frame") from error
    if said.header.code:
        raise failure_of(said.header.code)
    payload = said.payload or _NOTHING
    texts = payload.choices.text if payload.choices else []
    text = "".join(one.content or "" for one in texts)
    if said.header.status == LAST:
        return Chunk(text, done=True, usage=_usage(payload))
    thinking = any(one.reasoning_content for one in texts)
    return Chunk(text) if text or thinking else None


def _usage(payload: _Payload) -> Usage | None:
    if payload.usage is None or payload.usage.text is None:
        return None
    tokens = payload.usage.text
    return Usage(tokens.prompt_tokens, tokens.completion_tokens)


def failure_of(code: int) -> ModelFailed:
    """Say what an error code means for the next attempt; an unknown one may be tried again.

    Source: the table of error codes of iFlytek's "Spark Web API" page.
    """
    match code:
        case 10003 | 10004 | 10005 | 10163:  # the request's form, schema, values, parameters
            reason, status, after = Reason.REFUSED, 400, None
        case 10907:  # too many tokens
            reason, status, after = Reason.REFUSED, 413, None
        case 10013 | 10014 | 10019:  # the question's content, the answer's, the conversation's
            reason, status, after = Reason.REFUSED, 0, None
        case 10015 | 10016 | 11200:  # the application is blocked, or not licensed for this model
            reason, status, after = Reason.REFUSED, 403, None
        case 10006 | 10007 | 11202 | 11203:  # too many at once, or in this second
            reason, status, after = Reason.RATE_LIMITED, 429, None
        case 11201:  # too many today
            reason, status, after = Reason.RATE_LIMITED, 429, A_DAY
        case _:
            reason, status, after = Reason.SERVER_ERROR, 0, None
    return ModelFailed(reason, status=status, after=after, detail=f"code {code}")
