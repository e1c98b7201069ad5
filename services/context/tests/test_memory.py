"""What stays of a conversation: history, summaries, notes, and nothing when it is asked for."""

import pytest
from msgspec import structs
from queqiao_common.settings import ContextSettings, Notes, Persona
from queqiao_context import notes
from queqiao_context.memory import AGAIN_MS, MAX_FALLEN, MAX_SUMMARY
from queqiao_context.notes import LONGEST, Fact, Remembered
from queqiao_context.summary import parted, summary_prompt

from services.context.tests.talks import RULES, Talk, event

SHORT = structs.replace(
    RULES, settings=ContextSettings(max_messages=2), notes=Notes(summary_after=4)
)
NOTED = structs.replace(RULES, notes=Notes(enabled=True), facts=("喜欢猫", "住在杭州"))


def exchanged(count, rules=SHORT) -> Talk:
    talk = Talk(rules=rules)
    for number in range(1, count + 1):
        talk.exchange(f"问{number}", f"答{number}")
    return talk


# -- the summary ----------------------------------------------------------------------------


def test_what_falls_out_of_the_window_is_to_be_summarised_when_there_is_enough_of_it():
    talk = exchanged(2)
    assert [one.purpose for one in talk.requests] == ["answer"] * 2

    talk.exchange("问3", "答3")

    request = talk.requests[-1]
    assert (request.purpose, request.upto) == ("summary", 3)
    assert [one.content for one in request.prompt[1:-1]] == ["问1", "答1", "问2", "答2"]
    assert [one.role for one in request.prompt][::5] == ["system", "user"]
    assert talk.last == [request]


def test_a_summary_takes_the_place_of_what_it_covers():
    talk = exchanged(3)
    talk.exchange("问4", "答4")
    talk.sum_up("聊了一和二", upto=3)
    assert (talk.state.summary, talk.state.upto) == ("聊了一和二", 3)
    assert [one.content for one in talk.state.fallen] == ["问3", "答3"]

    talk.hear("问5")

    persona, remembered, *rest = talk.prompt
    assert persona == "你是助手。"
    assert "聊了一和二" in remembered
    assert rest == ["问4", "答4", "问5"]


def test_the_next_summary_continues_the_last():
    talk = exchanged(3)
    talk.sum_up("聊了一和二")
    talk.exchange("问4")
    talk.exchange("问5")

    request = talk.requests[-1]

    assert (request.purpose, request.upto) == ("summary", 5)
    assert "聊了一和二" in request.prompt[0].content
    assert [one.content for one in request.prompt[1:-1]] == ["问3", "答3", "问4", "答"]


def test_there_is_one_request_for_a_summary_at_a_time():
    talk = exchanged(9)

    assert [one.upto for one in talk.requests if one.purpose == "summary"] == [3]


def test_a_lost_or_empty_summary_is_asked_for_again_later():
    for came_empty in (False, True):
        talk = exchanged(3)
        if came_empty:
            talk.sum_up("")
        talk.exchange("问4")
        assert talk.requests[-1].purpose == "answer"
        talk.wait(AGAIN_MS / 1000)

        talk.exchange("问5")

        assert (talk.requests[-1].purpose, talk.requests[-1].upto) == ("summary", 5)
        assert len(talk.requests[-1].prompt) == 10


def test_a_summary_that_nobody_waits_for_changes_nothing():
    talk = exchanged(3)
    talk.sum_up("早先的", upto=2)
    assert talk.state.summary == ""
    talk.sum_up("聊了一和二")
    talk.sum_up("又来一次", upto=3)

    assert talk.state.summary == "聊了一和二"


def test_a_summary_is_cut_to_what_can_be_said_with_every_question():
    talk = exchanged(3)

    talk.sum_up("长" * 5000)

    assert len(talk.state.summary) == MAX_SUMMARY


def test_what_waits_for_a_summary_is_bounded():
    talk = exchanged(MAX_FALLEN)

    assert len(talk.state.fallen) == MAX_FALLEN
    assert talk.state.summing.count == 0
    talk.sum_up("最早的", upto=3)
    assert len(talk.state.fallen) == MAX_FALLEN


def test_what_is_too_long_for_the_budget_falls_out_as_well():
    tight = structs.replace(
        SHORT, settings=ContextSettings(max_tokens=300), notes=Notes(summary_after=2)
    )
    talk = Talk(rules=tight)
    talk.exchange("甲" * 100, "乙" * 100)
    assert len(talk.state.history) == 2  # the latest exchange stays all the same
    talk.exchange("丙", "丁")

    assert [one.content for one in talk.state.history] == ["丙", "丁"]
    assert [one.content[0] for one in talk.requests[-1].prompt[1:-1]] == ["甲", "乙"]


def test_without_summaries_what_falls_out_is_gone():
    talk = exchanged(9, structs.replace(SHORT, notes=Notes(summary=False)))

    assert talk.state.fallen == ()
    assert {one.purpose for one in talk.requests} == {"answer"}


def test_the_summary_has_a_route_of_its_own_where_one_is_configured():
    cheap = structs.replace(SHORT, notes=Notes(summary_after=4, summary_route="cheap"))

    assert exchanged(3, cheap).requests[-1].route == "cheap"


@pytest.mark.parametrize("ending", ["重置", "忘记我", None])
def test_a_new_beginning_has_no_summary(ending):
    talk = exchanged(3)
    talk.sum_up("聊了一和二")
    if ending:
        talk.hear(ending)
        talk.deliver()
    else:
        talk.wait(2 * 86_400)

    talk.hear("你好")

    assert talk.prompt == ["你是助手。", "你好"]


def test_facts_that_a_summary_names_apart_are_no_part_of_it():
    text = "聊了一和二。\n关于用户：\n- 喜欢猫\n· 住在杭州\n随便什么"
    talk = exchanged(3)

    talk.sum_up(text)

    assert talk.state.summary == "聊了一和二。"
    assert parted(text) == ("聊了一和二。", ("喜欢猫", "住在杭州"))
    assert parted("只有摘要") == ("只有摘要", ())


def test_facts_are_asked_for_only_where_notes_are_kept():
    plain, noted = (
        summary_prompt((), earlier="", wants_facts=wanted)[-1].content for wanted in (False, True)
    )

    assert "关于用户" not in plain
    assert "关于用户" in noted


# -- notes ----------------------------------------------------------------------------------


def test_notes_stand_in_the_second_message_of_the_system():
    talk = Talk(rules=NOTED)

    talk.hear("你好")

    persona, remembered, question = talk.requests[-1].prompt
    assert persona.content == "你是助手。"
    assert remembered.role == "system"
    assert "喜欢猫" in remembered.content
    assert question.content == "你好"


def test_a_user_without_notes_gets_the_persona_alone():
    """A second message of the system would make every question a personal one: never shared."""
    talk = Talk(rules=structs.replace(NOTED, facts=()))

    talk.hear("你好")

    assert talk.prompt == ["你是助手。", "你好"]


def test_the_user_may_read_the_notes():
    talk = Talk(rules=NOTED)
    talk.hear("我的记忆")
    talk.deliver()
    talk.change(facts=())
    talk.hear("我的记忆")

    assert talk.texts == ["我记得这些关于你的事：\n· 喜欢猫\n· 住在杭州", NOTED.notes.none]
    assert talk.requests == []


def test_where_no_notes_are_kept_the_words_are_a_question():
    talk = Talk()

    talk.hear("我的记忆")

    assert talk.questions == ["我的记忆"]


def test_the_user_may_have_it_all_erased():
    talk = exchanged(3)
    talk.sum_up("聊了一和二")
    cursor = talk.state.cursor

    talk.hear("忘记我")

    state = talk.state
    assert (state.history, state.fallen, state.summary, state.summing) == ((), (), "", None)
    assert state.forgotten == 3
    assert state.cursor == cursor + 1
    assert talk.texts[-1] == RULES.notes.erased


@pytest.mark.parametrize("name", ["unsubscribe", "user_info_modified", "user_authorization_revoke"])
def test_wechat_may_have_it_all_erased(name):
    talk = exchanged(3)

    talk.hear(**event(name))

    assert talk.state.history == talk.state.fallen == ()
    assert talk.state.cursor == 4
    assert len(talk.deliveries) == 3


def test_what_was_asked_before_is_answered_and_leaves_nothing_behind():
    talk = exchanged(1)
    talk.hear("秘密一")
    talk.hear("秘密二")
    talk.hear("忘记我")
    for answer in ("答一", "答二"):
        talk.answer(answer)
        talk.deliver()
    talk.deliver()
    talk.exchange("新的", "答三")

    assert talk.texts[1:] == ["答一", "答二", RULES.notes.erased, "答三"]
    assert [one.content for one in talk.state.history] == ["新的", "答三"]
    assert talk.state.forgotten == 3


def test_the_same_fact_is_noted_once_and_the_oldest_makes_room():
    known = None
    for turn, texts in enumerate(
        (["喜欢猫", "住在 杭州"], ["喜欢猫", "养了狗"], ["会 Go"]), start=1
    ):
        known = notes.learnt(known, texts, turn=turn, limit=3) or known

    assert notes.texts_of(known) == ("住在 杭州", "养了狗", "会 Go")
    assert notes.learnt(known, ["会 GO", " 养了狗\n"], turn=9, limit=3) is None


def test_a_note_is_one_short_line():
    known = notes.learnt(None, ["长\n" * 500, "  "], turn=1, limit=9)

    assert len(known.facts) == 1
    assert len(known.facts[0].text) == LONGEST


def test_what_was_learnt_before_the_user_was_forgotten_is_gone():
    known = Remembered(facts=(Fact(text="旧", turn=3), Fact(text="新", turn=5)))

    assert notes.texts_of(known, forgotten=3) == ("新",)
    assert notes.learnt(known, ["迟到"], turn=3, limit=9, forgotten=3).facts == known.facts[1:]


def test_a_persona_without_a_prompt_has_no_message():
    talk = Talk(rules=structs.replace(RULES, personas={"assistant": Persona(prompt="")}))

    talk.hear("你好")

    assert talk.prompt == ["你好"]
