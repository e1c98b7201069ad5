"""The bars that the answer cache is held to, on topics that it was not tuned with."""

import itertools

import pytest
from queqiao_llm.cacheable import unfit

from evals.cache.examples import crowd, read
from evals.cache.measure import Stored, measure

SERVED = 0.85
WRONG = 0.01


@pytest.fixture(scope="module")
def halves():
    return read()


@pytest.fixture(scope="module")
def questions(halves):
    return [one.question for half in halves for one in half.questions]


def test_the_set_is_as_large_as_promised(halves):
    """60 questions in 4 wordings each, 120 near misses, no topic in both halves."""
    everything = [one for half in halves for one in half.questions]

    assert len(everything) >= 60
    assert all(len(set(one.wordings)) >= 4 for one in everything)
    assert sum(len(one.near) for one in everything) >= 120
    assert len({one.question for one in everything}) == len(everything)


def test_most_rewordings_get_their_answer_or_a_menu_that_has_it(halves, questions):
    _, held_out = halves

    assert measure(Stored(questions), held_out).served >= SERVED


def test_hardly_anybody_gets_the_answer_to_another_question(halves, questions):
    """A wrong answer is worse than a slow one."""
    stored = Stored(questions)

    for half in halves:
        result = measure(stored, half)
        assert len(result.wrong) <= WRONG * result.asked, result.wrong
        assert len(result.wrong_near) <= WRONG * result.near, result.wrong_near


def test_the_bar_for_wrong_answers_holds_in_a_crowd(halves, questions):
    """With more stored questions there is more that a wording can be taken for."""
    stored = Stored([*questions, *itertools.islice(crowd(), 2000)])

    for half in halves:
        result = measure(stored, half)
        assert len(result.wrong) <= WRONG * result.asked, result.wrong


def test_exact_repeats_are_answered(questions):
    stored = Stored(questions)

    for question in questions:
        if not unfit(question):
            assert stored.ask(question.replace("？", "?? ")).questions == (question,)


def test_all_that_operators_would_keep_may_be_kept(questions):
    assert [question for question in questions if unfit(question)] == []
