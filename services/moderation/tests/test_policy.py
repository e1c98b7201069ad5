from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.events import Verdict
from queqiao_moderation.policy import Policy, ScreeningList
from queqiao_moderation.words import Words

BOTH = ("in", "out")
WORDS = ("赌博", "加微信", "fuck", "博彩", "ab")
TEXTS = st.text(alphabet="赌博加微信彩物馆fuckab .，。😀\u200b*\n")


def policy(*words, action="mask", directions=BOTH, allow=(), mask="*"):
    screening = ScreeningList("test", action, directions, Words(words))
    return Policy([screening], allow=Words(allow), mask=mask)


def test_a_masked_text_keeps_its_length_and_what_is_around_the_word():
    judgement = policy("加微信").judge("请加.微.信吧！", "in")

    assert judgement.verdict is Verdict.MASKED
    assert judgement.text == "请*****吧！"


def test_nothing_of_a_blocked_text_is_passed_on():
    judgement = policy("赌博", action="block").judge("一起赌博吗", "in")

    assert judgement.verdict is Verdict.BLOCKED
    assert judgement.text == ""


def test_the_evidence_names_the_list_and_the_word_but_not_the_text():
    [hit] = policy("加微信", "赌博").judge("去賭博", "in").hits

    assert (hit.list, hit.word, hit.start, hit.end) == ("test", 1, 1, 3)


def test_a_list_holds_only_in_its_directions():
    outgoing = policy("赌博", directions=("out",))

    assert outgoing.judge("赌博", "in").verdict is Verdict.PASS
    assert outgoing.judge("赌博", "out").verdict is Verdict.MASKED


def test_a_blocking_list_wins_over_a_masking_one():
    masking = ScreeningList("m", "mask", BOTH, Words(["坏人"]))
    blocking = ScreeningList("b", "block", BOTH, Words(["赌博"]))

    assert Policy([masking, blocking]).judge("坏人赌博", "in").verdict is Verdict.BLOCKED


def test_a_word_is_allowed_within_an_allowed_one_and_only_there():
    careful = policy("赌博", allow=["反赌博"])

    assert careful.judge("反赌博宣传", "in").verdict is Verdict.PASS
    assert careful.judge("反赌博，不赌博", "in").text == "反赌博，不**"


def test_an_allowed_word_of_a_list_never_hits():
    assert policy("客服", allow=["客服"]).judge("找客服", "in").verdict is Verdict.PASS


def test_what_closes_up_around_a_mask_is_covered_but_does_not_block():
    """It was not said; but whoever screens the masked text again shall find nothing."""
    masking = ScreeningList("m", "mask", BOTH, Words(["坏人"]))
    blocking = ScreeningList("b", "block", BOTH, Words(["赌博"]))

    judgement = Policy([masking, blocking]).judge("好赌坏人博客", "in")

    assert judgement.verdict is Verdict.MASKED
    assert judgement.text == "好****客"
    assert [hit.list for hit in judgement.hits] == ["m"]


def test_a_mask_that_is_itself_a_listed_word_blocks_instead_of_going_on_for_ever():
    assert policy("某", mask="某").judge("某人", "in").verdict is Verdict.BLOCKED


def test_without_lists_everything_passes():
    assert Policy().judge("赌博", "in").verdict is Verdict.PASS


@given(st.text())
def test_whatever_is_said_is_judged(text):
    judgement = policy(*WORDS).judge(text, "in")

    assert len(judgement.text) == len(text)


@given(TEXTS)
def test_a_masked_text_has_no_word_left(text):
    screening = policy(*WORDS)
    judgement = screening.judge(text, "in")

    assert screening.judge(judgement.text, "in").verdict is Verdict.PASS


@given(TEXTS)
def test_a_text_is_changed_only_where_something_was_found(text):
    judgement = policy(*WORDS).judge(text, "in")

    assert (judgement.text == text) == (not judgement.hits)
    assert len(judgement.text) == len(text)
