import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_llm.matching import Index, Vocabulary, normalise

OWN = Vocabulary()
TEXT = st.text(alphabet="怎么退款办理会员卡abc 1.5？，", max_size=30)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("怎么退款？", "怎么退款"),
        ("怎么 退款!!", "怎么退款"),
        ("ＶＩＰ怎么退", "vip怎么退。"),
        ("“会员”怎么退……", "会员怎么退"),
    ],
)
def test_width_case_spaces_and_punctuation_say_nothing(one, other):
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.5折", "15折"), ("c++好学吗", "c好学吗"), ("50%能退吗", "50能退吗"), ("3-5岁", "35岁")],
)
def test_marks_that_carry_meaning_stay(one, other):
    """An exact match is answered without a second look."""
    assert normalise(one) != normalise(other)


def test_words_of_another_language_stay_apart():
    assert normalise("How to  reset?") == "how to reset"


def test_fillers_go_and_synonyms_become_one():
    assert OWN.canonical("请问一下，会员怎么取消呢？") == OWN.canonical("VIP如何关闭")


def test_a_question_of_nothing_but_fillers_is_kept_as_it_is():
    """Else all of them would be one question."""
    assert OWN.canonical("怎么办呢") == "怎么办呢"


def test_a_word_that_holds_a_filler_is_not_taken_apart():
    assert OWN.canonical("了解会议") == "了解会议"


def test_the_words_of_a_trade_can_be_added_and_win():
    trade = Vocabulary([("拿证", "拿本", "下证"), ("奶茶", "会员")])

    assert trade.canonical("多久拿本") == trade.canonical("多久下证")
    assert trade.canonical("会员") == "奶茶"


@given(text=TEXT)
def test_a_question_is_the_most_like_itself(text):
    index = Index(OWN)
    index.add("it", text)

    found = index.search(text, 3)

    assert found == [] or found[0][1] == pytest.approx(1.0)


@given(texts=st.lists(TEXT, min_size=1, max_size=8), asked=TEXT)
def test_scores_lie_between_nothing_and_one_and_fall(texts, asked):
    index = Index(OWN)
    for number, text in enumerate(texts):
        index.add(str(number), text)

    scores = [score for _, score in index.search(asked, 5)]

    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1.000001 for score in scores)


@given(texts=st.lists(TEXT, min_size=1, max_size=8))
def test_an_index_from_which_all_was_removed_is_empty(texts):
    index = Index(OWN)
    for number, text in enumerate(texts):
        index.add(str(number), text)
        index.add(str(number), text[::-1])
    for number in range(len(texts)):
        index.remove(str(number))

    assert len(index) == 0
    assert index._postings == {}
    assert index.search(texts[0], 3) == []


def test_a_word_that_nobody_stored_lowers_the_score():
    """Else a near miss with one decisive new word would score like a rewording."""
    index = Index(OWN)
    index.add("refund", "会员卡退款")

    [(_, same)] = index.search("会员卡怎么退款", 1)
    [(_, other)] = index.search("会员卡怎么退款给朋友的公司", 1)

    assert same == pytest.approx(1.0)
    assert other < same


def test_a_score_does_not_depend_on_what_else_is_stored():
    """So that thresholds mean the same on the first day and with ten thousand answers."""
    index = Index(OWN)
    index.add("a", "会员怎么续费")
    before = index.search("会员续费流程说明", 1)
    for number in range(50):
        index.add(str(number), f"会员怎么第{number}次续费")

    assert before[0] in index.search("会员续费流程说明", 60)
