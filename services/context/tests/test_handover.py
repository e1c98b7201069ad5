"""A user in the hands of a person: how it begins, what they say meanwhile, how it ends."""

import pytest
from msgspec import structs
from queqiao_common.settings import Handover, Rule

from services.context.tests.talks import RULES, Talk, event, picture

SERVICE = structs.replace(RULES, agents="each", rules=(Rule(values=("投诉",), handover=True),))
KF = structs.replace(SERVICE, agents="once")


def handed_over(rules=SERVICE) -> Talk:
    talk = Talk(rules=rules)
    talk.hear("转人工")
    talk.deliver()
    return talk


@pytest.mark.parametrize("word", ["人工", "转人工", "投诉"])
def test_a_word_or_a_rule_hands_over(word):
    talk = Talk(rules=SERVICE)
    talk.hear(word)

    [delivery] = talk.deliveries
    assert (delivery.text, delivery.transfer) == (SERVICE.handover.text, True)
    talk.deliver()
    assert talk.state.handed.why == "asked for"


def test_a_person_s_messages_are_passed_on_one_by_one_and_the_bot_is_silent():
    """Each has to be passed on by the answer to its own request, so they are never merged."""
    talk = handed_over()
    talk.hear("你好")
    talk.hear("在吗")
    talk.deliver(via="passive")
    talk.deliver(via="passive")

    assert [(one.text, one.transfer) for one in talk.deliveries[1:]] == [("", True), ("", True)]
    assert [one.waiting[0].msgid for one in talk.deliveries[1:]] == ["m_2", "m_3"]
    assert talk.requests == []


def test_a_picture_for_the_person_is_passed_on_too():
    talk = handed_over()

    talk.hear(**picture())

    assert talk.deliveries[-1].transfer
    assert talk.requests == []


def test_what_agents_see_anyway_needs_no_passing_on():
    talk = handed_over(KF)

    talk.hear("你好")

    assert len(talk.deliveries) == 1
    assert talk.requests == []


def test_a_menu_of_a_rule_is_passed_on_and_any_other_event_is_not():
    """Its request is held open: on a passive-only account the user would be told to wait for it."""
    talk = handed_over(structs.replace(SERVICE, rules=(Rule(on="click", reply="菜单"),)))

    talk.hear(**event("click", event_key="K"))
    talk.hear(**event("scan", scene="S"))

    assert [(one.text, one.transfer) for one in talk.deliveries[1:]] == [("", True)]
    assert not talk.state.queue


def test_questions_before_the_hand_over_are_answered_and_those_behind_it_passed_on():
    talk = Talk(rules=SERVICE)
    talk.hear("第一问")
    talk.hear("转人工")
    talk.hear("第二问")
    talk.hear("第三问")
    talk.answer("第一答")
    for _ in range(4):
        talk.deliver()

    assert talk.questions == ["第一问"]
    assert talk.texts == ["第一答", SERVICE.handover.text, "", ""]
    assert [one.transfer for one in talk.deliveries] == [False, True, True, True]


def test_a_message_that_could_not_be_passed_on_is_owned_up_to():
    """Nothing the user says may be lost silently."""
    talk = handed_over()
    talk.hear("你好")

    talk.deliver(status="failed", via="none")

    assert talk.texts[-1] == SERVICE.handover.missed
    assert not talk.deliveries[-1].transfer
    talk.deliver()
    assert talk.state.handed is not None


def test_a_model_s_hand_over_that_came_too_late_is_made_with_the_next_message():
    """Its request was answered long ago, but the next one can be."""
    talk = Talk(rules=SERVICE)
    talk.hear("我要和人说")
    talk.answer("这就转。", handover=True)
    talk.deliver(status="failed", via="api")

    talk.hear("在吗")
    talk.deliver(via="passive")

    assert talk.deliveries[-1].transfer
    assert talk.state.handed.reached


def test_a_model_s_words_that_were_said_without_a_hand_over_are_followed_by_it():
    """Egress says what it could not do: the words are delivered, and nobody was reached."""
    talk = Talk(rules=SERVICE)
    talk.hear("我要和人说")
    talk.answer("这就转。", handover=True)

    talk.deliver(status="delivered", via="api", unreached=True)

    assert not talk.state.handed.reached


def test_a_model_s_hand_over_to_nobody_ends_with_the_next_message():
    talk = Talk(rules=SERVICE)
    talk.hear("我要和人说")
    talk.answer("这就转。", handover=True)
    talk.deliver(status="failed", via="api")

    talk.hear("在吗")
    talk.deliver(status="failed", via="none")

    assert talk.texts[-1] == SERVICE.handover.unavailable
    assert talk.state.handed is None


def test_a_hand_over_that_fails_is_none():
    talk = Talk(rules=SERVICE)
    talk.hear("转人工")
    talk.deliver(status="failed", via="none")
    talk.deliver()

    talk.hear("那你来吧")

    assert talk.texts[-1] == SERVICE.handover.unavailable
    assert talk.questions == ["那你来吧"]


def test_an_account_without_agents_says_so_and_goes_on():
    talk = Talk(rules=structs.replace(SERVICE, agents="none"))
    talk.hear("转人工")
    talk.deliver()

    talk.hear("你好")

    assert talk.texts == [SERVICE.handover.unavailable]
    assert talk.questions == ["你好"]


def test_where_it_is_switched_off_the_word_is_a_question():
    talk = Talk(rules=structs.replace(SERVICE, handover=Handover(enabled=False)))

    talk.hear("转人工")

    assert talk.questions == ["转人工"]


def test_the_model_may_hand_over_with_its_last_piece():
    talk = Talk(rules=SERVICE)
    talk.hear("我要和人说")
    talk.answer("好的，", final=False)
    talk.answer("这就转。", number=1, handover=True)
    talk.deliver()

    assert talk.texts == ["好的，", f"这就转。\n\n{SERVICE.handover.text}"]
    assert [one.transfer for one in talk.deliveries] == [False, True]
    talk.deliver()
    assert talk.state.handed.why == "model"


def test_a_model_s_hand_over_to_nobody_says_so():
    talk = Talk(rules=structs.replace(SERVICE, agents="none"))
    talk.hear("我要和人说")
    talk.answer("这就转。", handover=True)
    talk.deliver()

    assert talk.texts == [f"这就转。\n\n{SERVICE.handover.unavailable}"]
    assert talk.state.handed is None


def test_apologies_in_a_row_hand_over():
    talk = Talk(rules=structs.replace(SERVICE, handover=Handover(failures=2)))
    apology = SERVICE.settings.apology
    talk.hear("一")
    talk.answer("", failed=True)
    talk.deliver()
    talk.exchange("二")
    for _ in range(2):
        talk.hear("三")
        talk.answer("", failed=True)
        talk.deliver()

    assert talk.texts == [apology, "答", apology, f"{apology}\n\n{SERVICE.handover.text}"]
    assert talk.state.handed.why == "failures"
    assert talk.state.failures == 0


def test_a_word_brings_the_bot_back_and_the_platform_is_told():
    talk = handed_over(KF)
    talk.hear("返回机器人")
    talk.deliver()

    talk.hear("你好")

    assert (talk.deliveries[-1].text, talk.deliveries[-1].back) == (KF.handover.back_text, True)
    assert talk.questions == ["你好"]
    talk.answer()
    assert not talk.deliveries[-1].back


def test_the_word_is_a_question_where_no_person_talks():
    talk = Talk(rules=SERVICE)

    talk.hear("返回机器人")

    assert talk.questions == ["返回机器人"]


def test_what_is_said_right_behind_the_word_is_the_bot_s():
    talk = Talk(rules=SERVICE)
    talk.hear("转人工")
    talk.hear("返回机器人")
    talk.hear("你好")
    talk.deliver()
    talk.deliver()

    assert talk.texts == [SERVICE.handover.text, SERVICE.handover.back_text]
    assert talk.questions == ["你好"]


@pytest.mark.parametrize(
    "ending",
    [event("kf_close_session"), event("session_status_change", details={"change_type": "3"})],
)
def test_the_platform_s_word_brings_the_bot_back(ending):
    talk = handed_over()
    talk.hear(**ending)
    talk.deliver()

    talk.hear("你好")

    assert talk.texts[-1] == SERVICE.handover.back_text
    assert not talk.deliveries[-1].back  # the platform knows
    assert talk.questions == ["你好"]


def test_the_end_of_a_session_that_never_was_is_not_mentioned():
    talk = Talk(rules=SERVICE)

    talk.hear(**event("kf_close_session"))

    assert talk.texts == []


@pytest.mark.parametrize(
    "beginning",
    [event("kf_create_session"), event("session_status_change", details={"change_type": "1"})],
)
def test_an_agent_may_take_a_user_over_by_themselves(beginning):
    talk = Talk(rules=SERVICE)
    talk.hear(**beginning)

    talk.hear("你好")

    assert talk.state.handed.why == "agent"
    assert talk.requests == []


def test_a_long_silence_brings_the_bot_back():
    talk = handed_over(KF)
    talk.wait(1000)
    talk.hear("还在")
    talk.wait(1000)
    talk.hear("还在")
    assert talk.requests == []
    talk.wait(SERVICE.handover.timeout + 1)

    talk.hear("你好")

    assert talk.questions == ["你好"]
    talk.answer()
    assert talk.deliveries[-1].back


def test_nothing_said_to_the_person_becomes_history():
    talk = Talk(rules=SERVICE)
    talk.exchange("问", "答")
    talk.hear("转人工")
    talk.deliver()
    talk.hear("密码是 42")
    talk.deliver()
    talk.hear("返回机器人")
    talk.deliver()

    talk.hear("继续")

    assert talk.prompt == ["你是助手。", "问", "答", "继续"]


def test_who_unfollows_is_nobody_s_any_more():
    talk = handed_over()

    talk.hear(**event("unsubscribe"))

    assert talk.state.handed is None
