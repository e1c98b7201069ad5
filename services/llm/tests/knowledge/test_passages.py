from queqiao_llm.knowledge.asking import Asking
from queqiao_llm.knowledge.passages import Candidate, Limits, Passage, fused, judged

from services.llm.tests.knowledge.documents import FAQ, LIMITS

ASKING = Asking()


def candidate(heading, text="", similarity=0.0, key="faq/a"):
    return Candidate(Passage(key, "常见问题", heading, text), similarity)


CANDIDATES = [candidate(question, answer) for question, answer in FAQ.items()]


def test_what_is_high_in_two_rankings_comes_before_what_is_first_in_one():
    a, b, c = candidate("a"), candidate("b"), candidate("c")

    assert fused([[a, b], [c, b]])[0] == b


def test_the_passage_that_speaks_of_it_is_first():
    found = judged(CANDIDATES, ASKING.sought("请问退款什么时候能到账呀"), ASKING, LIMITS)

    assert [one.heading for one in found] == ["退款多久到账"]


def test_nothing_is_better_than_something_else():
    assert judged(CANDIDATES, ASKING.sought("附近有没有好吃的火锅店"), ASKING, LIMITS) == []


def test_meaning_finds_what_shares_no_word():
    near = candidate("款项返还时效", "审核后三日。", similarity=0.8)

    found = judged([near], ASKING.sought("钱啥时候回来"), ASKING, LIMITS)

    assert [one.score for one in found] == [0.8]


def test_no_more_is_given_than_fits():
    long = [candidate("退款", f"退款{number}" * 50, key=f"faq/{number}") for number in range(9)]
    limits = Limits(least=0.1, least_similar=0.6, passages=4, max_chars=300)

    found = judged(long, ASKING.sought("退款"), ASKING, limits)

    assert 1 <= len(found) <= 4
    assert sum(len(one.text) for one in found) <= 300


def test_one_passage_that_is_too_long_is_given_all_the_same():
    limits = Limits(least=0.1, least_similar=0.6, passages=4, max_chars=200)

    assert (
        len(judged([candidate("退款", "退款" * 200)], ASKING.sought("退款"), ASKING, limits)) == 1
    )
