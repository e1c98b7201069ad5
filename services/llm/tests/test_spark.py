import base64
import contextlib
import json
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_llm.circuits import is_blameless
from queqiao_llm.completion import Chunk, ModelFailed, Reason, Usage
from queqiao_llm.providers.spark import signed
from queqiao_llm.providers.spark_answer import failure_of, read

FRIDAY = 1_683_295_440.0  # Fri, 05 May 2023 14:04:00 GMT


def frame(*texts, status=1, code=0, **more):
    header = {"code": code, "message": "m", "sid": "s", "status": status}
    return json.dumps({"header": header, "payload": {"choices": {"text": texts}, **more}}).encode()


def test_the_address_is_signed_as_the_documentation_says():
    """Checked against iFlytek's own SDK with the same clock."""
    url = signed(
        "wss://spark-api.xf-yun.com/v3.5/chat", key="some-key", secret="some-secret", now=FRIDAY
    )

    parts = urlsplit(url)
    query = {name: value for name, [value] in parse_qs(parts.query).items()}
    assert (parts.scheme, parts.netloc, parts.path) == (
        "wss",
        "spark-api.xf-yun.com",
        "/v3.5/chat",
    )
    assert query["host"] == "spark-api.xf-yun.com"
    assert query["date"] == "Fri, 05 May 2023 14:04:00 GMT"
    assert base64.b64decode(query["authorization"]).decode() == (
        'api_key="some-key", algorithm="hmac-sha256", headers="host date request-line", '
        'signature="ivjBYQb9LB2aY4XPjHV9lcN+wZ3P9/vIDSiQjNNNF8U="'
    )


def test_the_port_belongs_to_the_signed_host():
    assert "host=model%3A9000" in signed("ws://model:9000/v1.1/chat", key="k", secret="s", now=0.0)


def test_a_frame_adds_its_text():
    assert read(frame({"content": "你"}, status=0)) == Chunk("你")


def test_the_last_frame_says_what_the_answer_cost():
    usage = {"text": {"question_tokens": 1, "prompt_tokens": 3, "completion_tokens": 5}}

    assert read(frame({"content": "。"}, status=2, usage=usage)) == Chunk(
        "。", done=True, usage=Usage(3, 5)
    )


def test_thoughts_are_a_sign_of_life_and_never_text():
    assert read(frame({"reasoning_content": "秘密"})) == Chunk()


def test_a_frame_without_text_adds_nothing():
    assert read(frame()) is None
    assert read(b'{"header":{"code":0}}') is None


@pytest.mark.parametrize("junk", [b"<html>", b"[]", b"{}", b'{"header":{}}', b"\xff"])
def test_what_is_no_frame_is_garbage(junk):
    with pytest.raises(ModelFailed) as error:
        read(junk)

    assert error.value.reason is Reason.GARBAGE


@pytest.mark.parametrize(
    ("code", "reason", "blameless"),
    [
        (10004, Reason.REFUSED, True),
        (10907, Reason.REFUSED, True),
        (10013, Reason.REFUSED, True),
        (10014, Reason.REFUSED, True),
        (11200, Reason.REFUSED, False),
        (10007, Reason.RATE_LIMITED, False),
        (11202, Reason.RATE_LIMITED, False),
        (10012, Reason.SERVER_ERROR, False),
        (99999, Reason.SERVER_ERROR, False),
    ],
)
def test_a_code_says_whether_a_repeat_may_help_and_whose_fault_it_is(code, reason, blameless):
    """What one user writes must not switch the model off for all others."""
    with pytest.raises(ModelFailed) as error:
        read(frame(code=code))

    assert error.value.reason is reason
    assert is_blameless(error.value) is blameless
    assert str(code) in str(error.value)


def test_a_quota_that_is_used_up_for_today_is_not_asked_for_again():
    assert failure_of(11201).after == 86_400


@given(
    st.binary(max_size=100) | st.builds(msgspec.json.encode, st.dictionaries(st.text(), st.text()))
)
def test_no_message_breaks_the_reader(message):
    with contextlib.suppress(ModelFailed):
        read(message)
