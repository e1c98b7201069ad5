import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_llm.completion import MAX_ANSWER, Call, Chunk, ModelFailed, Reason, Usage
from queqiao_llm.providers.openai_answer import AnswerReader


def event(delta=None, finish=None, **fields):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return b"data: " + msgspec.json.encode({"choices": choices, **fields}) + b"\n\n"


def text(content):
    return event({"content": content})


STOP = event({}, "stop")
DONE = b"data: [DONE]\n\n"


def read(*parts):
    reader = AnswerReader()
    chunks = [chunk for part in parts if (chunk := reader.feed(part))]
    return chunks if reader.done else [*chunks, reader.finish()]


def said(*parts):
    chunks = read(*parts)
    assert chunks[-1].done
    return "".join(chunk.text for chunk in chunks)


def failure(*parts):
    with pytest.raises(ModelFailed) as error:
        read(*parts)
    return error.value


def test_the_deltas_are_the_answer():
    role = event({"role": "assistant", "content": None})

    assert said(role, text("你好"), text("！"), STOP, DONE) == "你好！"


def test_the_last_chunk_has_the_finish_reason_and_the_usage():
    usage = event(usage={"prompt_tokens": 3, "completion_tokens": 2})

    assert read(text("好"), STOP, usage, DONE)[-1] == Chunk(
        done=True, finish="stop", usage=Usage(3, 2)
    )


def test_a_missing_done_is_forgiven_when_there_is_a_finish_reason():
    assert said(text("好"), STOP) == "好"


def test_a_missing_finish_reason_is_forgiven_when_there_is_a_done():
    assert said(text("好"), DONE) == "好"


def test_a_stream_that_just_ends_was_cut_off():
    """Half an answer must not be delivered as a whole one."""
    assert failure(text("一半")).reason is Reason.INCOMPLETE


def test_thoughts_are_a_sign_of_life_but_never_a_part_of_the_answer():
    thought = event({"content": None, "reasoning_content": "嗯"})

    assert said(thought, text("好"), STOP, DONE) == "好"
    assert AnswerReader().feed(thought) == Chunk()


def test_an_answer_that_was_not_streamed_is_accepted():
    whole = msgspec.json.encode(
        {
            "choices": [{"message": {"content": "你好"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        }
    )

    assert read(b"\n " + whole[:9], whole[9:]) == [Chunk("你好", True, "stop", Usage(1, 2))]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"message": "x", "code": 429}, Reason.RATE_LIMITED),
        ({"message": "x", "type": "rate_limit_error"}, Reason.RATE_LIMITED),
        ({"code": "rate_limit_exceeded"}, Reason.RATE_LIMITED),
        ({"message": "x", "code": "500"}, Reason.SERVER_ERROR),
        ({"message": "too long", "code": 400}, Reason.REFUSED),
        ({"message": "x", "type": "server_error"}, Reason.SERVER_ERROR),
        ("something", Reason.SERVER_ERROR),
    ],
)
def test_an_error_within_the_stream_or_instead_of_an_answer_is_an_error(error, reason):
    assert failure(text("半"), event(error=error)).reason is reason
    assert failure(msgspec.json.encode({"error": error})).reason is reason


def test_an_error_of_null_is_none():
    assert said(event({"content": "好"}, "stop", error=None), DONE) == "好"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b"data: {not json\n\n",
        b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":5}}]}\n\n',
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"mess',
        b"data:" + b"x" * (1024 * 1024 + 1),
    ],
)
def test_what_is_no_answer_is_garbage(body):
    assert failure(body).reason is Reason.GARBAGE


def test_an_endless_answer_is_refused():
    comment = b": " + b"x" * 1000 + b"\n"

    assert failure(*[comment] * (MAX_ANSWER // 1000)).reason is Reason.GARBAGE


def test_no_failure_repeats_what_was_answered():
    """Its text is logged."""
    secret = msgspec.json.encode({"error": {"message": "秘密", "code": 400}})

    assert "秘密" not in str(failure(secret))


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_bytes_are_an_answer_or_a_failure(parts):
    try:
        chunks = read(*parts)
    except ModelFailed:
        return
    assert chunks[-1].done


@given(st.lists(st.integers(0, 400), max_size=10))
def test_where_the_network_cuts_makes_no_difference(cuts):
    stream = text("你好") + b": ping\r\n" + text("，世界") + STOP + DONE
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parts = [stream[edges[at] : edges[at + 1]] for at in range(len(edges) - 1)]

    assert said(*parts) == "你好，世界"


def call(index, arguments, **fields):
    function = {"arguments": arguments} | ({"name": fields.pop("name")} if "name" in fields else {})
    return event({"tool_calls": [{"index": index, "function": function, **fields}]})


def test_a_call_comes_in_parts_and_is_told_when_it_is_whole():
    chunks = read(
        call(0, "", id="a", name="weather"),
        call(0, '{"city":'),
        call(0, '"成都"}'),
        event({}, "tool_calls"),
        DONE,
    )

    assert all(not chunk.done and chunk == Chunk() for chunk in chunks[:-1])
    assert chunks[-1].calls == (Call("a", "weather", '{"city":"成都"}'),)


def test_several_calls_stay_apart():
    chunks = read(
        call(0, "{}", id="a", name="clock"),
        call(1, "{", id="b", name="weather"),
        call(1, "}"),
        event({}, "tool_calls"),
        DONE,
    )

    assert chunks[-1].calls == (Call("a", "clock", "{}"), Call("b", "weather", "{}"))


def test_calls_that_are_all_said_to_be_the_first_stay_apart_by_their_ids():
    """So do some servers that send each of them whole."""
    chunks = read(
        call(0, "{}", id="a", name="clock"), call(0, "{}", id="b", name="weather"), STOP, DONE
    )

    assert [one.id for one in chunks[-1].calls] == ["a", "b"]


def test_a_call_without_a_place_or_an_id_gets_one():
    chunks = read(call(None, "{}", name="clock"), call(None, "{}", name="weather"), STOP, DONE)

    assert [one.id for one in chunks[-1].calls] == ["call_0", "call_1"]
