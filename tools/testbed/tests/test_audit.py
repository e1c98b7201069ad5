"""The oracle sees what went wrong, and forgives only what is forgiven in the documents."""

from queqiao_testbed.audit import NAMED, Findings, Journal, Question, audit, audit_user

USER = ("auto", "u")
SORRY = ("没能答上来",)


def question(number, paragraphs=1):
    return Question(user=USER, mark=f"#u-{number}#", msgid=f"{number}", paragraphs=paragraphs)


def reply(text, **fields):
    return {"who": "account", "text": text, "at": 10.0, "in_reply_to": None} | fields


def judged(entries, *numbers, journal=None, paragraphs=1) -> Findings:
    questions = [question(number, paragraphs) for number in numbers]
    known = journal or Journal(accepted={one.mark: n for n, one in enumerate(questions)})
    return audit_user(USER, questions, entries, known, sorry=SORRY)


def answer(*numbers, more=""):
    return "答：" + "\n".join(f"#u-{number}# 在吗" for number in numbers) + more


def test_answers_in_order_are_clean():
    found = judged([reply(answer(1)), reply(answer(2, 3))], 1, 2, 3)

    assert found.is_clean
    assert (found.questions, found.answered) == (3, 3)


def test_an_accepted_question_without_an_answer_is_lost():
    assert judged([reply(answer(1))], 1, 2).lost == ("#u-2#",)


def test_a_question_that_wechat_itself_gave_up_is_refused_not_lost():
    """None of its deliveries was acknowledged, and the user was told to try again."""
    error = {"who": "platform", "text": "故障", "at": 1.0, "in_reply_to": "2"}

    found = judged([reply(answer(1)), error], 1, 2)

    assert (found.lost, found.refused) == ((), 1)


def test_the_rest_of_an_answer_to_a_refused_question_is_no_repeat():
    """Its beginning was the reply to a request that WeChat had given up, and nobody saw it."""
    error = {"who": "platform", "text": "故障", "at": 1.0, "in_reply_to": "2"}
    rest = reply("第2段。\n第3段。")

    found = judged([reply(answer(1, more="第2段。第3段。")), error, rest], 1, 2, paragraphs=3)

    assert (found.doubled, found.headless) == ((), ("#u-2#",))
    assert judged([reply(answer(1, more="第2段。第3段。")), rest], 1, paragraphs=3).doubled
    twice = judged([reply(answer(1, more="第2段。第3段。")), error, rest, rest], 1, 2, paragraphs=3)
    assert twice.doubled == ("paragraph 2, 3",)


def test_an_apology_stands_for_the_questions_it_names_and_no_others():
    journal = Journal(accepted={}, apologies=(frozenset({"#u-1#"}),))

    found = judged([reply("抱歉，没能答上来")], 1, 2, journal=journal)

    assert (found.excused, found.lost) == (1, ("#u-2#",))


def test_an_apology_that_nobody_saw_excuses_nothing():
    journal = Journal(accepted={}, apologies=(frozenset({"#u-1#"}),))

    assert judged([], 1, journal=journal).lost == ("#u-1#",)


def test_each_apology_stands_for_one_delivery_and_not_for_all():
    """One user, two turns that failed, and one apology: the other turn was swallowed."""
    journal = Journal(accepted={}, apologies=(frozenset({"#u-1#", "#u-2#"}), frozenset({"#u-3#"})))

    once = judged([reply("抱歉，没能答上来")], 1, 2, 3, journal=journal)
    twice = judged([reply("没能答上来。没能答上来。")], 1, 2, 3, journal=journal)

    assert (once.excused, once.lost) == (2, ("#u-3#",))
    assert (twice.excused, twice.lost) == (3, ())


def test_an_apology_in_answer_to_a_question_stands_for_it():
    """It was never a delivery: the door itself asked for patience."""
    found = judged([reply("没能答上来", in_reply_to="2")], 1, 2)

    assert (found.excused, found.lost) == (1, ("#u-1#",))


def test_an_apology_that_names_as_many_as_it_can_stands_for_those_right_before_as_well():
    """Context names the newest questions of a turn; the older ones are in it all the same."""
    numbers = range(1, NAMED + 4)
    accepted = {f"#u-{number}#": number for number in numbers}
    apology = frozenset(f"#u-{number}#" for number in numbers if number > 3)
    journal = Journal(accepted=accepted, apologies=(apology,))

    after_an_answer = judged([reply(answer(2)), reply("没能答上来")], *numbers, journal=journal)

    assert not judged([reply("没能答上来")], *numbers, journal=journal).lost
    assert after_an_answer.lost == ("#u-1#",)


def test_a_message_that_holds_two_answers_is_repeated_once():
    """What was parked is shown together, and egress is in doubt of the message as a whole."""
    both = reply(answer(1) + "\n" + answer(2))
    journal = Journal(accepted={"#u-1#": 1, "#u-2#": 2}, doubts={USER: 1})

    assert judged([both, both], 1, 2, journal=journal).is_clean
    assert judged([both, both], 1, 2).doubled == ("#u-1#",)


def test_what_was_not_answered_is_named_whatever_excuses_it():
    journal = Journal(accepted={}, apologies=(frozenset({"#u-1#"}),))

    assert judged([reply("没能答上来")], 1, journal=journal).unanswered == ("#u-1#",)


def test_a_cut_answer_is_not_torn_but_all_others_of_that_user_may_be():
    cut = reply(answer(1, more="\n第2段。（后面的没有发完）"))
    torn = reply(answer(2, more="\n第2段。"))

    assert judged([cut], 1, paragraphs=3).is_clean
    assert judged([cut, torn], 1, 2, paragraphs=3).torn == ("#u-2#",)


def test_a_repeat_is_forgiven_as_often_as_egress_was_in_doubt():
    entries = [reply(answer(1)), reply(answer(1)), reply(answer(1))]
    journal = Journal(accepted={"#u-1#": 1}, doubts={USER: 1})

    found = judged(entries, 1, journal=journal)

    assert (found.doubted, found.doubled) == (1, ("#u-1#",))


def test_a_repeat_is_laid_at_a_killed_senders_door_where_there_was_one():
    entries = [reply(answer(1)), reply(answer(1)), reply(answer(1))]
    lost = Journal(accepted={"#u-1#": 1}, doubts={USER: 2}, unanswered={USER: 2})
    both = Journal(accepted={"#u-1#": 1}, doubts={USER: 2}, unanswered={USER: 1})

    assert judged(entries, 1, journal=lost).orphaned == 0
    assert judged(entries, 1, journal=both).orphaned == 1


def test_order_is_that_of_acceptance():
    """A question that WeChat had to deliver twice comes after a quicker one."""
    entries = [reply(answer(2)), reply(answer(1))]

    assert judged(entries, 1, 2).swapped == ("#u-2#", "#u-1#")
    journal = Journal(accepted={"#u-2#": 1, "#u-1#": 2})
    assert judged(entries, 1, 2, journal=journal).is_clean


def test_a_strangers_answer_is_seen():
    assert judged([reply("答：#v-1# 在吗")], 1).crossed == ("#v-1#",)


def test_a_missing_paragraph_is_torn_and_one_too_many_is_doubled():
    torn = judged([reply(answer(1, more="\n第2段。"))], 1, paragraphs=3)
    doubled = judged([reply(answer(1, more="\n第2段。第2段。第3段。"))], 1, paragraphs=3)

    assert torn.torn == ("#u-1#",)
    assert doubled.doubled == ("paragraph 2",)


def test_a_repeated_message_is_one_repeat_whatever_it_holds():
    entries = [reply(answer(1)), reply("第2段。第3段。"), reply("第2段。第3段。")]
    journal = Journal(accepted={"#u-1#": 1}, doubts={USER: 1})

    assert judged(entries, 1, paragraphs=3).doubled == ("paragraph 2, 3",)
    assert judged(entries, 1, paragraphs=3, journal=journal).is_clean


def test_a_part_before_its_beginning_is_jumbled_unless_wechat_asked_again():
    entries = [reply("第3段。"), reply(answer(1, more="\n第2段。"))]
    again = Journal(accepted={"#u-1#": 1}, redelivered=frozenset({"1"}))

    assert judged(entries, 1, paragraphs=3).jumbled == ("#u-1#",)
    assert judged(entries, 1, paragraphs=3, journal=again).is_clean


def test_the_chat_of_a_user_to_whom_a_promise_was_broken_is_told():
    fine, wronged = ("auto", "v"), USER
    questions = [Question(user=fine, mark="#v-1#", msgid="7"), question(1)]
    chats = {fine: [reply("答：#v-1# 在吗")], wronged: [reply("长" * 500)]}

    found = audit(questions, chats, Journal(accepted={}), sorry=SORRY)

    assert found.lost == ("#u-1#",)
    assert found.evidence == (f"auto/u 10.0 account  {'长' * 100!r}",)
