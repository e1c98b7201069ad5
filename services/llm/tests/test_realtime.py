import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_llm.completion import Chunk, Message, ModelFailed, Reason, Usage
from queqiao_llm.providers.realtime import events_of
from queqiao_llm.providers.realtime_answer import AnswerReader


def event(kind, **fields):
    return json.dumps({"type": kind, "event_id": "e", **fields}).encode()


def delta(text):
    return event("response.output_text.delta", delta=text)


def done(status="completed", *, text="", usage=None, **details):
    content = [{"type": "output_text", "text": text}]
    response = {
        "status": status,
        "status_details": details or None,
        "output": [{"type": "message", "content": content}],
        "usage": usage,
    }
    return event("response.done", response=response)


def read(*frames):
    reader = AnswerReader()
    return [chunk for frame in frames if (chunk := reader.feed(frame))]


def failure(*frames):
    with pytest.raises(ModelFailed) as error:
        read(*frames)
    return error.value


def test_a_prompt_is_instructions_items_and_the_wish_for_a_response():
    prompt = (
        Message("system", "你是助手"),
        Message("system", "资料"),
        Message("user", "你好"),
        Message("assistant", "好"),
        Message("user", "再见"),
    )

    session, *items, last = events_of(prompt, max_tokens=9)

    assert session["session"] == {
        "type": "realtime",
        "output_modalities": ["text"],
        "instructions": "你是助手\n\n资料",
    }
    assert [one["item"]["role"] for one in items] == ["user", "assistant", "user"]
    assert items[1]["item"]["content"] == [{"type": "output_text", "text": "好"}]
    assert last == {
        "type": "response.create",
        "response": {"output_modalities": ["text"], "max_output_tokens": 9},
    }


def test_deltas_are_the_answer_and_its_end_says_what_it_cost():
    usage = {"input_tokens": 3, "output_tokens": 5}

    assert read(
        event("session.created", session={}),
        event("rate_limits.updated", rate_limits=[]),
        delta("你"),
        delta("好"),
        event("response.output_text.done", text="你好"),
        done(text="你好", usage=usage),
    ) == [Chunk("你"), Chunk("好"), Chunk(done=True, finish="stop", usage=Usage(3, 5))]


def test_a_server_without_deltas_says_all_at_the_end():
    assert read(done(text="你好")) == [Chunk("你好", done=True, finish="stop")]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter")],
)
def test_an_answer_that_was_cut_short_says_why(reason, finish):
    [_, last] = read(delta("你"), done("incomplete", reason=reason))

    assert (last.done, last.finish) == (True, finish)


@pytest.mark.parametrize(
    ("frame", "reason", "status"),
    [
        (done("cancelled", reason="turn_detected"), Reason.INCOMPLETE, 0),
        (done("incomplete", reason="new"), Reason.INCOMPLETE, 0),
        (done("failed"), Reason.SERVER_ERROR, 0),
        (done("failed", error={"type": "server_error"}), Reason.SERVER_ERROR, 0),
        (done("failed", error={"code": "rate_limit_exceeded"}), Reason.RATE_LIMITED, 429),
        (done("failed", error={"code": "insufficient_quota"}), Reason.RATE_LIMITED, 429),
        (event("error"), Reason.SERVER_ERROR, 0),
        (event("error", error={"type": "rate_limit_error"}), Reason.RATE_LIMITED, 429),
        (event("error", error={"code": "invalid_api_key"}), Reason.REFUSED, 401),
        (event("error", error={"type": "authentication_error"}), Reason.REFUSED, 401),
        (event("error", error={"code": "model_not_found"}), Reason.REFUSED, 404),
        (event("error", error={"type": "invalid_request_error"}), Reason.REFUSED, 400),
        (b"<html>", Reason.GARBAGE, 0),
        (b"{}", Reason.GARBAGE, 0),
    ],
)
def test_every_way_to_fail_has_its_reason(frame, reason, status):
    found = failure(frame)

    assert (found.reason, found.status) == (reason, status)


def test_the_words_of_an_error_are_not_told():
    error = {"type": "server_error", "message": "秘密"}

    assert "秘密" not in str(failure(done("failed", error=error)))


@given(st.binary(max_size=100))
def test_no_message_breaks_the_reader(message):
    with contextlib.suppress(ModelFailed):
        read(message)
