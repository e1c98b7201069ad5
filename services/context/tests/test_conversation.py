"""The conversation, event by event and under any order and repetition of them."""

import pytest
from msgspec import structs
from queqiao_common.events import (
    CompletionRequest,
    Delivery,
    Prompt,
    TurnTimeout,
    Verdict,
)
from queqiao_common.testing import CONV, NOW_MS, delivered, inbound, screened, screened_segment
from queqiao_common.worker import Outgoing
from queqiao_context.chain import Chain, Doubt, Gap
from queqiao_context.conversation import absorb, expire, record, settle
from queqiao_context.document import Arrival

from services.context.tests.talks import PASSIVE, RULES, chain, events, only, opened, said, turn_id


def test_a_first_question_opens_a_turn_with_a_timer():
    step = absorb(None, said(1, "你好"), chain(1), RULES)

    request = only(step, CompletionRequest)
    assert request.prompt == (Prompt("system", "你是助手。"), Prompt("user", "你好"))
    timer = next(item for item in step.publish if isinstance(item, Outgoing) and item.due_ms)
    assert timer.due_ms == NOW_MS + 60_000
    assert request.deadline_ms < timer.due_ms


def test_a_redelivered_message_changes_nothing_and_says_everything_again():
    """The process may have died between the write and the publishing."""
    message = said(1)
    first = absorb(None, message, chain(1), RULES)

    again = absorb(first.document, message, chain(1), RULES)

    assert again.document is None
    assert [event.id for event in events(again)] == [event.id for event in events(first)]


def test_a_message_waits_for_the_earlier_one_of_the_same_user():
    """Two moderation replicas must not swap two quick messages."""
    both = chain(1, 2)
    overtaking = absorb(None, said(2, "第二句"), both, RULES)
    assert events(overtaking) == []

    step = absorb(overtaking.document, said(1, "第一句"), both, RULES)

    assert only(step, CompletionRequest).prompt[-1].content == "第一句\n第二句"


def test_a_chain_that_does_not_cover_the_gap_is_asked_for():
    with pytest.raises(Gap) as gap:
        absorb(None, said(7), None, RULES)

    assert (gap.value.after, gap.value.upto) == (0, 7)


def test_the_chain_must_reach_messages_that_came_early():
    """Otherwise the early one would wait for ever once its predecessor came."""
    early = absorb(None, said(2), chain(1, 2), RULES).document

    with pytest.raises(Gap) as gap:
        absorb(early, said(1), chain(1), RULES)

    assert gap.value.upto == 2


def test_messages_sent_while_an_answer_is_written_become_one_next_turn():
    """People send three short messages where one would do; none may be swallowed."""
    talk = opened("一", "二", "三")
    assert len(talk.queue) == 2
    talk = record(talk, screened_segment("答一", final=True), RULES).document

    step = settle(talk, delivered(), RULES)

    assert only(step, CompletionRequest).prompt[-1].content == "二\n三"
    assert only(step, CompletionRequest).turn_id == turn_id(2)


def test_pieces_leave_in_order_one_delivery_at_a_time():
    talk = opened("问")
    late = record(talk, screened_segment("乙", number=1), RULES)
    assert events(late) == []

    first = record(late.document, screened_segment("甲"), RULES)
    delivery = only(first, Delivery)
    assert delivery.text == "甲\n\n乙"
    assert not delivery.final

    waiting = record(first.document, screened_segment("丙", number=2, final=True), RULES)
    assert events(waiting) == []
    last = only(settle(waiting.document, delivered(), RULES), Delivery)
    assert (last.text, last.final, last.id) == ("丙", True, f"{turn_id()}.2")


def test_an_older_run_of_the_model_is_never_mixed_with_a_newer_one():
    talk = opened("问")
    talk = record(talk, screened_segment("旧二", number=1), RULES).document
    talk = record(talk, screened_segment("新一", attempt=101), RULES).document

    ignored = record(talk, screened_segment("旧三", number=2, final=True), RULES)

    assert ignored.document is None
    assert talk.out.text == "新一"


def test_what_was_already_said_is_not_said_again_by_a_newer_run():
    """llm was killed after its first paragraph had reached the user."""
    talk = record(opened("问"), screened_segment("旧一"), RULES).document
    talk = settle(talk, delivered(), RULES).document
    talk = record(talk, screened_segment("新一", attempt=101), RULES).document

    step = record(talk, screened_segment("新二", attempt=101, number=1, final=True), RULES)

    assert only(step, Delivery).text == "新二"


def test_a_newer_run_adds_nothing_to_a_complete_answer():
    """llm was killed between its last word and its acknowledgement."""
    talk = record(opened("问"), screened_segment("全部", final=True), RULES).document

    step = record(talk, screened_segment("又一遍", attempt=101, number=1, final=True), RULES)

    assert step.document is None


def test_a_blocked_piece_ends_the_answer_with_the_configured_text():
    talk = record(opened("问"), screened_segment("好的"), RULES).document
    blocked = screened_segment("不便展示", number=1, verdict=Verdict.BLOCKED)
    talk = record(talk, blocked, RULES).document
    talk = record(talk, screened_segment("还有", number=2, final=True), RULES).document or talk

    delivery = only(settle(talk, delivered(), RULES), Delivery)

    assert (delivery.text, delivery.kind, delivery.final) == ("不便展示", "notice", True)


def test_a_model_that_failed_is_apologised_for():
    step = record(opened("问"), screened_segment("", failed=True, final=True), RULES)

    delivery = only(step, Delivery)
    assert delivery.text == RULES.settings.apology
    assert not delivery.ai


def test_a_turn_past_its_deadline_is_answered_with_the_apology_and_then_deaf():
    talk = opened("问")
    timeout = TurnTimeout(id="due", account="main", conv=CONV, turn_id=turn_id())
    due = structs.replace(RULES, now_ms=NOW_MS + 60_000)

    step = expire(talk, timeout, due)

    assert only(step, Delivery).text == RULES.settings.apology
    assert record(step.document, screened_segment("太晚了", final=True), due).document is None


def test_a_turn_past_its_deadline_ends_when_its_user_writes_again():
    """Its timer was lost: without this, nothing the user writes would ever be answered."""
    late = structs.replace(RULES, now_ms=NOW_MS + 70_000)

    step = absorb(opened("问"), said(2, "还在吗"), chain(2, after=1), late)

    assert only(step, Delivery).text == RULES.settings.apology
    assert [asked.text for asked in step.document.queue] == ["还在吗"]


def test_a_delivery_that_was_lost_is_published_again_when_its_user_writes():
    """Its stream was lost after the write: egress never heard of it."""
    talk = record(opened("问"), screened_segment("答", final=True), RULES).document
    late = structs.replace(RULES, now_ms=NOW_MS + 70_000)

    step = absorb(talk, said(2, "还在吗"), chain(2, after=1), late)

    assert only(step, Delivery) == talk.out


def test_the_timer_publishes_a_lost_delivery_again():
    talk = record(opened("问"), screened_segment("答"), RULES).document
    timeout = TurnTimeout(id="due", account="main", conv=CONV, turn_id=turn_id())

    step = expire(talk, timeout, structs.replace(RULES, now_ms=NOW_MS + 60_000))

    assert step.document.turn.final == 1
    assert only(step, Delivery) == talk.out


def test_an_answer_with_a_hole_is_ended_at_the_deadline():
    """Its last piece is here, an earlier one was lost."""
    talk = record(opened("问"), screened_segment("尾", number=1, final=True), RULES).document
    timeout = TurnTimeout(id="due", account="main", conv=CONV, turn_id=turn_id())

    step = expire(talk, timeout, structs.replace(RULES, now_ms=NOW_MS + 60_000))

    assert only(step, Delivery).text == RULES.settings.apology


def test_what_moderation_has_stored_fills_the_gap():
    """After a restore the earlier message is not delivered again: waiting would be for ever."""
    stored = Arrival(screened=said(1, "第一句"))
    both = Chain(0, 2, (1, 2), (stored,))

    step = absorb(None, said(2, "第二句"), both, RULES)

    assert only(step, CompletionRequest).prompt[-1].content == "第一句\n第二句"
    assert step.document.early == ()


def test_another_epoch_is_doubted_before_anything_is_reset():
    other = structs.replace(RULES, epoch="e2")

    with pytest.raises(Doubt):
        absorb(opened("问"), said(1), chain(1), other)

    assert absorb(opened("问"), said(1), chain(1), other, sure=True).document.epoch == "e2"


def test_a_timer_that_fires_early_or_for_a_closed_turn_changes_nothing():
    timeout = TurnTimeout(id="due", account="main", conv=CONV, turn_id=turn_id())

    assert expire(opened("问"), timeout, RULES).document is None
    assert expire(None, timeout, RULES).document is None


def test_an_answer_becomes_history_and_the_next_prompt_has_it():
    talk = record(opened("你好"), screened_segment("你好！", final=True), RULES).document
    talk = settle(talk, delivered(), RULES).document

    step = absorb(talk, said(2, "再见"), chain(1, 2), RULES)

    assert [message.content for message in only(step, CompletionRequest).prompt] == [
        "你是助手。",
        "你好",
        "你好！",
        "再见",
    ]


def test_history_is_forgotten_after_a_long_silence():
    talk = record(opened("你好"), screened_segment("你好！", final=True), RULES).document
    talk = settle(talk, delivered(), RULES).document
    later = structs.replace(RULES, now_ms=NOW_MS + 2 * 86_400_000)

    step = absorb(talk, said(2, "再见"), chain(1, 2), later)

    assert len(only(step, CompletionRequest).prompt) == 2


def test_the_reset_command_clears_history():
    talk = record(opened("你好"), screened_segment("你好！", final=True), RULES).document
    talk = settle(talk, delivered(), RULES).document
    step = absorb(talk, said(2, "重置"), chain(1, 2), RULES)
    assert only(step, Delivery).text == RULES.settings.reset_text

    talk = settle(step.document, delivered(delivery_id=f"{turn_id(2)}.1"), RULES).document

    assert talk.history == ()
    assert talk.turn is None


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (screened(verdict=Verdict.BLOCKED, text="不方便聊"), "不方便聊"),
        (screened(inbound("", kind="unsupported", msg_type="file")), "暂时还看不懂"),
        (screened(inbound("", kind="platform_event", platform_event="subscribe")), "欢迎"),
        (screened(verdict=Verdict.FAILED), "抱歉"),
    ],
)
def test_what_needs_no_model_is_answered_by_a_notice(message, text):
    delivery = only(absorb(None, message, chain(1), RULES), Delivery)

    assert delivery.kind == "notice"
    assert delivery.text.startswith(text)


def test_an_undecodable_message_does_not_hold_up_the_next():
    lost = structs.replace(said(1), verdict=Verdict.FAILED, message=None, text="")
    talk = absorb(None, lost, chain(1), RULES).document

    step = absorb(talk, said(2, "在吗"), chain(1, 2), RULES)

    assert only(step, CompletionRequest).prompt[-1].content == "在吗"


def test_a_flood_is_asked_for_patience_once_for_all():
    talk = opened(*(f"第{n}问" for n in range(1, 40)))

    assert len([asked for asked in talk.queue if asked.kind == "question"]) == 20
    assert [asked.text for asked in talk.queue if asked.kind == "notice"] == [RULES.settings.busy]


def test_a_fetch_word_waits_for_the_answer_being_written():
    """A passive-only account said "still thinking, reply 1"; the user does."""
    talk = opened("难题", rules=PASSIVE)
    talk = absorb(talk, said(2, "1"), chain(1, 2), PASSIVE).document

    step = record(talk, screened_segment("答案", final=True), PASSIVE)

    assert [one.msgid for one in only(step, Delivery).waiting] == ["m_1", "m_2"]
    assert talk.queue == ()


def test_a_parked_reply_is_collected_by_the_next_message_which_is_answered_too():
    """Nothing is swallowed: the next message may be a question of its own."""
    talk = record(opened("难题", rules=PASSIVE), screened_segment("答案", final=True), PASSIVE)
    talk = settle(talk.document, delivered(status="parked", parked=1), PASSIVE).document

    step = absorb(talk, said(2, "另一个问题"), chain(1, 2), PASSIVE)

    assert only(step, Delivery).kind == "collect"
    result = delivered(delivery_id=only(step, Delivery).id, parked=0)
    assert only(settle(step.document, result, PASSIVE), CompletionRequest)


def test_an_answer_that_follows_a_parked_one_says_so():
    """What was queued before the parking collects nothing, and must not overtake it."""
    talk = opened("第一问", "第二问")
    talk = record(talk, screened_segment("第一答", final=True), RULES).document
    talk = settle(talk, delivered(status="parked", via="mailbox", parked=1), RULES).document
    second = screened_segment("第二答", final=True, turn_id=turn_id(talk.turns))

    step = record(talk, second, RULES)

    assert only(step, Delivery).parked == 1


def test_a_fetch_word_with_nothing_to_fetch_is_a_question():
    """The answer to a quiz may well be 1."""
    step = absorb(None, said(1, "1"), chain(1), PASSIVE)

    assert only(step, CompletionRequest).prompt[-1].content == "1"
