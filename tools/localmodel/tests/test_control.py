"""What a test tells the fake model holds for the calls that it means."""

import msgspec
import pytest
from queqiao_localmodel.completion import ChatRequest, Message
from queqiao_localmodel.control import KEPT_CALLS, Calls, Control, decode_control
from queqiao_localmodel.script import Fault, Script


def scripts(calls, *, count=1, model="m", text="问"):
    """The scripts of so many calls, all alike."""
    request = ChatRequest(model=model, messages=(Message(role="user", content=text),))
    return [calls.script_for(request, b"{}") for _ in range(count)]


def test_without_a_word_every_call_is_answered_plainly():
    assert scripts(Calls()) == [Script()]


def test_failures_are_taken_in_turn_until_they_are_spent():
    """A breaker is tested by so many failures, and then health."""
    calls = Calls()
    calls.obey(Control(fail=("status=500", "hang"), fail_count=3))

    failing = scripts(calls, count=4)

    assert failing == [
        Script(status=500),
        Script(fault=Fault.HANG),
        Script(status=500),
        Script(),
    ]


def test_failures_without_a_count_last_until_further_notice():
    calls = Calls()
    calls.obey(Control(fail=("status=503",)))

    assert scripts(calls, count=50) == [Script(status=503)] * 50

    calls.obey(Control())
    assert scripts(calls) == [Script()]


def test_other_models_are_left_alone():
    calls = Calls()
    calls.obey(Control(latency=2, fail=("status=500",), only_model="main"))

    assert scripts(calls, model="spare") == [Script()]
    assert scripts(calls, model="main") == [Script(delay=2, status=500)]


def test_the_message_wins_over_the_model_and_the_model_over_the_control():
    calls = Calls()
    calls.obey(Control(latency=1, tokens_per_second=10))

    [script] = scripts(calls, model="slow[delay=2;first=2]", text="[delay=3]")

    assert script == Script(delay=3, first=2, tokens_per_second=10)


@pytest.mark.parametrize(
    "body", [b'{"fail":["nonsense"]}', b'{"latenzy":1}', b'{"latency":-1}', b"[]", b"{"]
)
def test_a_wrong_control_is_refused(body):
    """A typo must not become a test that tests nothing."""
    with pytest.raises(msgspec.MsgspecError):
        decode_control(body)


def test_a_reset_forgets_all_but_the_answers_under_way():
    calls = Calls()
    calls.obey(Control(latency=1))
    scripts(calls, count=2)
    under_way = calls.tracked(iter([b"a", b"b"]))
    next(under_way)

    calls.reset()

    report = calls.report()
    assert (report["total"], report["active"], report["peak"]) == (0, 1, 1)
    assert calls.control == Control()


def test_an_answer_counts_as_abandoned_only_when_its_end_was_not_reached():
    calls = Calls()

    list(calls.tracked(iter([b"a"])))
    assert (calls.active, calls.abandoned) == (0, 0)

    left = calls.tracked(iter([b"a", b"b"]))
    next(left)
    left.close()
    assert (calls.active, calls.abandoned) == (0, 1)


def test_only_the_last_bodies_are_kept():
    calls = Calls()
    scripts(calls, count=KEPT_CALLS + 1)

    assert len(calls.report()["requests"]) == KEPT_CALLS
    assert calls.report()["total"] == KEPT_CALLS + 1
