"""The steps of a response, before any clock or socket."""

import pytest
from queqiao_localmodel.completion import NEVER, ChatRequest, Cut, Message, Part, Wait, respond
from queqiao_localmodel.framing import END_OF_STREAM
from queqiao_localmodel.script import Fault, Script


def request(*texts, stream=True):
    """A request with these user messages."""
    messages = tuple(Message(role="user", content=text) for text in texts)
    return ChatRequest(model="m", messages=messages, stream=stream)


def steps(script, *, stream=True):
    return list(respond(request("你好，世界", stream=stream), script, number=1))


def test_the_question_is_the_last_user_message():
    messages = (
        Message(role="user", content="旧"),
        Message(role="user", content=(Part(type="text", text="新"), Part(type="image_url"))),
        Message(role="assistant", content="答"),
    )

    assert ChatRequest(messages=messages).question == "新"
    assert ChatRequest(messages=()).question == ""


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_without_directives_has_no_pause(stream):
    assert all(isinstance(step, bytes) for step in steps(Script(), stream=stream))


def test_the_same_call_has_the_same_bytes():
    assert steps(Script()) == steps(Script())


def test_a_delay_comes_before_the_head_and_the_first_token_after_it():
    before, head, until_first, *_ = steps(Script(delay=3, first=2))

    assert before == Wait(3)
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert until_first == Wait(2)


@pytest.mark.parametrize("rate", [1.0, 20.0, 1000.0])
def test_tokens_come_at_their_pace(rate):
    script = Script(tokens_per_second=rate, bytes=3000, chunk=1)

    waits = [step.seconds for step in steps(script) if isinstance(step, Wait)]

    characters = len("答：你好，世界") + (3000 - len("答：你好，世界".encode())) // 3
    assert sum(waits) == pytest.approx(characters / rate, rel=0.1)


def test_a_whole_answer_takes_as_long_as_a_streamed_one():
    script = Script(tokens_per_second=2, chunk=1, first=1)

    [wait, _] = steps(script, stream=False)

    assert wait == Wait(1 + len("答：你好，世界") / 2)


def test_a_hanging_call_sends_nothing():
    assert steps(Script(fault=Fault.HANG)) == [NEVER]


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_hangs_midway_has_begun(stream):
    *begun, last = steps(Script(fault=Fault.HANG_MID), stream=stream)

    assert begun
    assert all(isinstance(step, bytes) for step in begun)
    assert last == NEVER


@pytest.mark.parametrize("stream", [True, False])
def test_a_cut_comes_after_what_was_sent_had_time_to_leave(stream):
    *_, pause, cut = steps(Script(fault=Fault.DISCONNECT), stream=stream)

    assert isinstance(pause, Wait)
    assert cut == Cut()


def test_half_a_stream_ends_cleanly_and_early():
    sent = b"".join(steps(Script(fault=Fault.HALF)))

    assert sent.endswith(END_OF_STREAM)
    assert b"[DONE]" not in sent
    assert b'"finish_reason":"stop"' not in sent


def test_usage_is_sent_only_when_asked_for():
    assert b'"usage"' not in b"".join(steps(Script()))
