"""What fails a run, what only makes it be repeated, and what is merely shown."""

import pytest
from queqiao_testbed.audit import Findings
from queqiao_testbed.verdict import (
    BAD_ANSWER,
    LAG,
    NO_ANSWER,
    SENDER_GONE,
    SHOWS_WITHIN,
    Happened,
    Report,
    Seen,
)

SILENCE = Happened(kind="silence", target="wechat", began=10.0, ended=12.0, doubts=NO_ANSWER)
CUT = Happened(kind="cut", target="llm-0", began=10.0, ended=12.0, ends=True)


@pytest.mark.parametrize("what", ["lost", "torn", "doubled", "swapped", "jumbled", "crossed"])
def test_a_broken_promise_to_a_user_fails(what):
    assert Report(findings=Findings(questions=100, **{what: ("#u-1#",)})).problems


@pytest.mark.parametrize(
    "what",
    [
        {"late": ("llm-0",)},
        {"backlog": {"llm-requests": (1, 0)}},
        {"not_ready": ("egress-1",)},
        {"poison_kept": ("poison:1",)},
        {"buried": {"context: why": 1}},
        {"accidents": ("a traceback",)},
    ],
)
def test_a_system_that_did_not_recover_fails(what):
    assert Report(**what).problems
    assert not Report(**what).inconclusive


def test_apologies_may_stand_for_a_tenth_of_the_questions():
    assert not Report(findings=Findings(questions=100, excused=10)).problems
    assert Report(findings=Findings(questions=100, excused=11)).problems
    assert not Report(findings=Findings(questions=100, excused=90), excused_share=1.0).problems


def test_the_last_round_has_to_be_answered_and_not_only_excused():
    """Else a system that apologises for everything, for ever, would pass."""
    findings = Findings(questions=100, excused=1, unanswered=("#u-9#",))

    assert not Report(findings=findings, final=frozenset({"#u-8#"})).problems
    assert Report(findings=findings, final=frozenset({"#u-9#"})).problems


@pytest.mark.parametrize(
    ("at", "is_explained"),
    [(9.0, False), (11.0, True), (12.0 + SHOWS_WITHIN, True), (13.0 + SHOWS_WITHIN, False)],
)
def test_a_doubt_needs_a_fault_that_may_cause_one(at, is_explained):
    doubts = (Seen(what="d1", at=at, cause=NO_ANSWER),)

    assert bool(Report(doubts=doubts, faults=(SILENCE,)).problems) is not is_explained
    assert Report(doubts=doubts, faults=(CUT,)).problems


def test_a_lost_answer_explains_no_other_doubt():
    doubts = (Seen(what="d1", at=11.0, cause=BAD_ANSWER),)

    assert Report(doubts=doubts, faults=(SILENCE,)).problems == {
        "in doubt without a reason": ("d1: bad_answer",)
    }


def test_only_the_death_of_the_sender_itself_explains_that_it_is_gone():
    """One that was paused, or cut off, while another was killed was not gone."""
    doubts = (Seen(what="d1", at=11.0, cause=SENDER_GONE, replica="one"),)

    assert not Report(doubts=doubts, killed=frozenset({"one"})).problems
    assert Report(doubts=doubts, killed=frozenset({"two"})).problems


def test_an_end_needs_a_fault_that_may_cause_one():
    ends = (Seen(what="llm-0 (1)", at=11.0),)

    assert not Report(ends=ends, faults=(CUT,)).problems
    assert Report(ends=ends, faults=(SILENCE,)).problems


def test_the_test_beds_own_trouble_is_no_verdict():
    assert Report(troubles=("no broker",)).inconclusive


def test_a_late_test_bed_matters_only_where_something_was_found():
    lost = Findings(questions=1, lost=("#u-1#",))

    assert Report(findings=lost, lag=LAG + 1).inconclusive
    assert not Report(findings=lost, lag=LAG - 1).inconclusive
    assert not Report(lag=LAG + 1).inconclusive
