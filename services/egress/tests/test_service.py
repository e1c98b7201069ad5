"""The handlers, with the broker and WeChat faked."""

import asyncio

import msgspec
import pytest
from queqiao_common.claims import Claim, claim_key
from queqiao_common.errors import TransientError
from queqiao_common.events import Waiting, WindowMissed
from queqiao_common.settings import Delivery as Settings
from queqiao_common.testing import (
    ACCOUNT,
    CONV,
    NOW_MS,
    TURN,
    delivery,
    published,
    received,
    renamed,
    waiting,
)
from queqiao_common.worker import Buried
from queqiao_wechat.client import (
    AmbiguousError,
    ApiError,
    UnansweredError,
    UnreachableError,
)
from queqiao_wechat.errcodes import lookup
from queqiao_wechat.text import size

LONG = "\n\n".join(f"第{n}段。" + "桥" * 300 for n in range(4))
MISSED = WindowMissed(id="missed:main:m_1", account=ACCOUNT, conv=CONV, openid="oUSER", msgid="m_1")


def refusal(errcode):
    return ApiError(errcode, "test", lookup(errcode).action)


def number(n, text="一段。", **fields):
    return delivery(text, id=f"{TURN}.{n}", **fields)


# -- auto -------------------------------------------------------------------------------------


async def test_a_reply_in_time_leaves_by_the_waiting_request_and_costs_nothing(auto):
    result = await auto.deliver(delivery("你好！"))

    assert (result.status, result.via, result.parts) == ("delivered", "passive", 1)
    assert auto.answered == ["你好！"]
    assert auto.wechat.shown == []
    assert not auto.sent.documents
    assert not auto.ledgers.documents


async def test_a_late_reply_leaves_by_api_and_is_marked_and_paid_for(auto):
    auto.now_ms = NOW_MS + 9000

    result = await auto.deliver(delivery("**好**", ai=True))

    assert (result.status, result.via, result.parts) == ("delivered", "api", 1)
    assert auto.wechat.shown == [("好", True)]
    assert auto.offers == []
    assert (await auto.sent.get(f"{TURN}.1")).value.done
    assert (await auto.ledgers.get(f"{ACCOUNT}.{CONV}")).value.by_message.taken == {f"{TURN}.1": 1}


async def test_a_request_that_takes_nothing_is_offered_again_and_then_the_api_is_used(world):
    auto = world(mode="auto", takes=False)

    result = await auto.deliver(delivery("你好！"))

    assert len(auto.offers) == 3  # 3.5 s to the end of the window, 0.5 s more; one every 1.5 s
    assert len({offer.id for offer in auto.offers}) == 3
    assert result.via == "api"
    claim = (await auto.claims.get(claim_key(ACCOUNT, "m_1"))).value
    assert claim == Claim(kind="later")


async def test_a_claim_that_was_heard_of_is_not_offered_against(auto):
    await auto.claim("m_1", Claim(kind="later"))
    await auto.first.claims.look(claim_key(ACCOUNT, "m_1"))

    result = await auto.deliver(delivery("你好！"))

    assert (auto.offers, result.via) == ([], "api")


async def test_merged_messages_are_released_and_the_newest_is_answered(auto):
    both = (waiting("m_1"), waiting("m_2", received_ms=NOW_MS + 500))

    await auto.deliver(delivery("你们好", waiting=both))

    assert [(offer.msgid, offer.text) for offer in auto.offers] == [("m_1", ""), ("m_2", "你们好")]


async def test_a_long_reply_begins_passively_and_goes_on_by_api(auto):
    result = await auto.deliver(delivery(LONG, ai=True))

    [first] = auto.answered
    assert first.endswith("\n（AI 生成）")
    assert all(size(text) <= 2000 for text in (first, *(t for t, _ in auto.wechat.shown)))
    read = first.removesuffix("\n（AI 生成）") + "".join(text for text, _ in auto.wechat.shown)
    assert "".join(read.split()) == "".join(LONG.split())
    assert (result.via, result.parts) == ("api", 1 + len(auto.wechat.shown))


async def test_the_end_of_a_long_reply_survives_a_crash_after_its_beginning_was_taken(auto):
    """The claim names how far the first part went; only the rest may be sent."""
    auto.wechat.answers = [UnreachableError("down")]
    with pytest.raises(TransientError):
        await auto.deliver(delivery(LONG))

    await auto.deliver(delivery(LONG), attempt=2, process=auto.another())

    read = "".join((*auto.answered, *(text for text, _ in auto.wechat.shown)))
    assert "".join(read.split()) == "".join(LONG.split())


async def test_nothing_follows_a_passive_reply_before_it_has_left(world):
    """Its request may hang in a slow replica: the rest of the answer would be read first."""
    auto = world(mode="auto", gives=False)

    result = await auto.deliver(delivery(LONG))

    assert auto.now_ms == NOW_MS + 6000  # WeChat's second delivery is answered by then
    assert result.reasons[-2] == "not heard that it has left: another may overtake it"
    assert auto.wechat.shown


async def test_text_with_nothing_to_read_lets_the_request_go(auto):
    result = await auto.deliver(delivery("\x00 "))

    assert (result.status, result.parts) == ("delivered", 0)
    assert [offer.text for offer in auto.offers] == [""]


# -- pieces and quota ---------------------------------------------------------------------------


async def test_the_last_message_is_kept_for_the_end_of_an_answer(active):
    texts = [f"这是第{n}段。" for n in range(9)]
    results = [
        await active.deliver(number(n + 1, text, final=n == 8)) for n, text in enumerate(texts)
    ]

    shown = [text for text, _ in active.wechat.shown]
    assert "\n\n".join(shown) == "\n\n".join(texts)
    assert len(shown) <= 5
    assert results[-1].parked == 0
    assert "parked" in {result.status for result in results}


async def test_an_answer_beyond_the_quota_says_that_it_was_cut(active):
    result = await active.deliver(delivery(LONG * 5))

    assert len(active.wechat.shown) == 5
    assert active.wechat.shown[-1][0].endswith(active.settings.cut)
    assert result.status == "delivered"
    assert any("the end is cut" in reason for reason in result.reasons)


async def test_a_reply_without_any_quota_waits_for_the_next_message(active):
    active.now_ms = NOW_MS + 61_000
    tap = (waiting(trigger="menu"),)

    result = await active.deliver(delivery("太晚了", waiting=tap))
    assert (result.status, result.via, result.parked) == ("parked", "mailbox", 1)

    wrote = (waiting("m_2", received_ms=active.now_ms),)
    collect = delivery("", id=f"{TURN}.collect.m_2", kind="collect", waiting=wrote)
    result = await active.deliver(collect)
    assert (result.status, result.parked) == ("delivered", 0)
    assert active.wechat.shown == [("太晚了", False)]


async def test_a_quota_that_wechat_calls_spent_is_corrected_and_nothing_is_lost(active):
    active.wechat.answers = [refusal(45047)]

    result = await active.deliver(delivery("一"))
    assert (result.status, result.errcode, result.parked) == ("parked", 45047, 1)

    result = await active.deliver(number(2, "二"))
    assert (result.status, result.parked) == ("parked", 1)
    assert active.wechat.shown == []


async def test_what_is_known_to_be_parked_goes_before_the_next_answer(active):
    """A question that was queued before the parking collects nothing by itself."""
    active.wechat.answers = [refusal(45009)]
    result = await active.deliver(delivery("第一答"))
    assert (result.status, result.parked) == ("parked", 1)

    result = await active.deliver(
        delivery("第二答", id="main.c_x.2.1", turn_id="main.c_x.2", parked=1)
    )

    assert "".join(text for text, _ in active.wechat.shown).startswith("第一答")
    assert active.wechat.shown[-1][0].endswith("第二答")
    assert (result.status, result.parked) == ("delivered", 0)


async def test_an_answer_behind_a_long_parked_one_is_not_cut_away_with_its_end(active):
    active.wechat.answers = [refusal(45009)]
    await active.deliver(delivery(LONG * 4))

    result = await active.deliver(
        delivery("第二答", id="main.c_x.2.1", turn_id="main.c_x.2", parked=8)
    )
    assert (result.status, len(active.wechat.shown), result.parked > 0) == ("delivered", 5, True)
    assert active.wechat.shown[-1][0].endswith(active.settings.more)

    active.now_ms += 1000
    wrote = (waiting("m_3", received_ms=active.now_ms),)
    result = await active.deliver(
        delivery("", id="main.c_x.2.collect.m_3", kind="collect", waiting=wrote)
    )
    assert (result.status, result.parked) == ("delivered", 0)
    assert active.wechat.shown[-1][0].endswith("第二答")


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("errcode", [45015, 43004, 48002, 40164, 47001])
async def test_a_refusal_for_good_is_recorded_and_never_repeated(active, errcode):
    active.wechat.answers = [refusal(errcode)]

    first = await active.deliver(delivery())
    again = await active.deliver(delivery(), attempt=2)

    assert (first.status, first.errcode) == (again.status, again.errcode) == ("failed", errcode)
    assert active.wechat.shown == []


async def test_an_error_that_an_operator_must_mend_is_logged_as_one(active, caplog):
    active.wechat.answers = [refusal(40164)]

    await active.deliver(delivery())

    assert [line.message for line in caplog.records if line.levelname == "ERROR"] == [
        "wechat.refused"
    ]


@pytest.mark.parametrize(
    ("error", "after"),
    [(refusal(-1), 1.0), (refusal(45011), 60.0), (UnreachableError("down"), 1.0)],
)
async def test_a_passing_trouble_is_tried_again_and_takes_no_second_message(active, error, after):
    active.wechat.answers = [error]
    with pytest.raises(TransientError) as caught:
        await active.deliver(delivery())
    assert caught.value.after == after

    active.now_ms += 61_000
    result = await active.deliver(delivery(), attempt=2, process=active.another())

    assert result.status == "delivered"
    assert len(active.wechat.shown) == 1
    ledger = (await active.ledgers.get(f"{ACCOUNT}.{CONV}")).value
    assert ledger.by_message.taken == {f"{TURN}.1": 1}


async def test_a_used_minute_stops_the_whole_account_until_it_is_over(active):
    active.wechat.answers = [refusal(45011)]
    with pytest.raises(TransientError):
        await active.deliver(delivery())
    with pytest.raises(TransientError):
        await active.deliver(delivery(conv="c_other"))
    assert active.wechat.shown == []


async def test_a_text_that_wechat_finds_too_long_is_cut_smaller_once(active):
    active.wechat.answers = [refusal(45002)]

    await active.deliver(delivery(LONG))
    assert all(size(text) <= 1340 for text, _ in active.wechat.shown)
    read = "".join(text for text, _ in active.wechat.shown)
    assert "".join(read.split()) == "".join(LONG.split())

    active.wechat.answers = [refusal(45002), refusal(45002)]
    result = await active.deliver(renamed(number(1), turn_id="other", id="other.1"))
    assert (result.status, result.errcode) == ("failed", 45002)


# -- the one ambiguous part ---------------------------------------------------------------------


def causes_of_doubt(caplog):
    return [line.cause for line in caplog.records if line.message == "delivery.ambiguous"]


NO_ANSWER = UnansweredError("ReadTimeout"), "no_answer"
BAD_ANSWER = AmbiguousError("HTTP 502"), "bad_answer"


@pytest.mark.parametrize(
    ("error", "settings", "policy"),
    [
        (NO_ANSWER, {"ambiguous": "resend"}, "resend"),
        (NO_ANSWER, {"ambiguous": "drop"}, "drop"),
        (NO_ANSWER, {"ambiguous": "resend", "unanswered": "drop"}, "drop"),
        (NO_ANSWER, {"ambiguous": "drop", "unanswered": "resend"}, "resend"),
        (BAD_ANSWER, {"ambiguous": "resend", "unanswered": "drop"}, "resend"),
        (BAD_ANSWER, {"ambiguous": "drop", "unanswered": "resend"}, "drop"),
    ],
)
async def test_a_lost_answer_is_settled_by_policy(world, error, settings, policy, caplog):
    active = world(mode="active", settings=Settings(**settings))
    active.wechat.answers = [error[0]]
    try:
        result = await active.deliver(delivery())
    except TransientError:
        result = await active.deliver(delivery(), attempt=2)

    assert result.status == "delivered"
    assert causes_of_doubt(caplog) == [error[1]]
    assert len(active.wechat.shown) == (policy == "resend")
    assert any("may have arrived" in reason for reason in result.reasons) is (policy == "drop")


@pytest.mark.parametrize(("policy", "copies"), [("resend", 2), ("drop", 1)])
async def test_a_part_whose_sender_died_is_repeated_or_not_and_nothing_else_is(
    world, policy, copies, caplog
):
    active = world(mode="active", settings=Settings(ambiguous=policy))

    class Killed(BaseException):
        pass

    async def accepted_then_killed():
        active.wechat.shown.append(("again", False))
        raise Killed

    active.wechat.answers = [None, accepted_then_killed]
    with pytest.raises(Killed):
        await active.deliver(delivery(LONG))
    before = len(active.wechat.shown)
    active.now_ms += 20_000

    await active.deliver(delivery(LONG), attempt=2, process=active.another())

    texts = [text for text, _ in active.wechat.shown]
    assert before == 2
    assert causes_of_doubt(caplog) == ["sender_gone"]
    second = [text for text in texts if text == "again" or text.startswith("第2段")]
    assert len(second) == copies


async def test_a_redelivery_to_the_process_that_still_sends_waits_and_sends_nothing(active):
    gate = asyncio.Event()
    active.wechat.answers = [gate.wait]
    first = asyncio.create_task(active.deliver(delivery()))
    second = asyncio.create_task(active.deliver(delivery(), attempt=2))
    for _ in range(5):
        await asyncio.sleep(0)
    gate.set()

    results = [await first, await second]

    assert len(active.wechat.shown) == 1
    assert results[0].id == results[1].id
    assert [result.status for result in results] == ["delivered", "delivered"]


async def test_a_repeat_after_all_was_sent_sends_nothing_and_says_so_again(active):
    first = await active.deliver(delivery(LONG))
    count = len(active.wechat.shown)

    again = await active.deliver(delivery(LONG), attempt=2, process=active.another())

    assert len(active.wechat.shown) == count
    assert (again.id, again.status, again.parts) == (first.id, "delivered", count)


async def test_an_old_delivery_that_comes_for_the_first_time_is_looked_up_before_it_is_sent(auto):
    """Its consumer was created anew: what was handed over minutes ago must not be sent again."""
    auto.takes = True
    await auto.deliver(delivery())
    auto.now_ms += 60_000

    again = await auto.deliver(delivery(), process=auto.another())

    assert auto.wechat.shown == []
    assert again.status == "delivered"


async def test_what_this_process_knows_counts_though_the_broker_could_not_be_told(active):
    """The marker's write after an accepted message is lost: no second message, no doubt."""
    real = active.sent.update

    async def lost(key, change):
        raise TransientError("broker away")

    active.sent.update = lost
    with pytest.raises(TransientError):
        await active.deliver(delivery())
    active.sent.update = real

    result = await active.deliver(delivery(), attempt=2)

    assert (len(active.wechat.shown), result.status) == (1, "delivered")


# -- passive only -------------------------------------------------------------------------------


async def test_a_passive_reply_in_time_is_given_and_nothing_is_parked(passive):
    result = await passive.deliver(delivery("你好", ai=True))

    assert passive.answered == ["你好\n（AI 生成）"]
    assert (result.status, result.via, result.parked) == ("delivered", "passive", 0)
    assert not passive.boxes.documents


async def test_pieces_are_gathered_and_leave_with_the_final_one(passive):
    first = await passive.deliver(number(1, "第一段。", final=False))
    second = await passive.deliver(number(2, "第二段。", final=False))
    last = await passive.deliver(number(3, "第三段。"))

    assert [first.status, second.status] == ["parked", "parked"]
    assert [offer.now for offer in passive.offers] == [False, False, True]
    assert passive.offers[1].text.endswith(passive.settings.more)
    assert passive.answered == ["第一段。\n\n第二段。\n\n第三段。"]
    assert (last.status, last.parked) == ("delivered", 0)


async def test_what_the_fallback_carried_is_not_said_again(world):
    passive = world(mode="passive")
    await passive.deliver(number(1, "第一段。", final=False))
    await passive.end_window("m_1", mode="passive")

    result = await passive.deliver(number(2, "第二段。"))
    assert (result.status, result.parked) == ("parked", 1)

    collect = number("collect.m_2", "", kind="collect", waiting=(waiting("m_2"),))
    result = await passive.deliver(collect)
    assert (result.status, result.parked) == ("delivered", 0)
    assert passive.answered == ["第一段。\n（未完，回复「1」继续）", "第二段。"]


async def test_a_reply_after_the_last_window_is_announced_and_collected(world):
    passive = world(mode="passive", takes=False)
    result = await passive.deliver(delivery("很慢"))

    assert (result.status, result.parked) == ("parked", 1)
    claim = (await passive.claims.get(claim_key(ACCOUNT, "m_1"))).value
    assert claim == Claim(kind="thinking", answer=passive.settings.thinking)

    passive.takes = True
    wrote = (waiting("m_2", received_ms=passive.now_ms),)
    collected = await passive.deliver(number("collect.m_2", "", kind="collect", waiting=wrote))
    assert (collected.status, collected.via, collected.parked) == ("delivered", "passive", 0)
    assert passive.answered == ["很慢"]


async def test_a_long_passive_reply_is_fetched_part_by_part(passive):
    result = await passive.deliver(delivery(LONG))
    rounds = 0
    while result.parked:
        rounds += 1
        wrote = (waiting(f"m_{rounds + 1}", received_ms=passive.now_ms),)
        collect = number(f"collect.m_{rounds + 1}", "", kind="collect", waiting=wrote)
        previous, result = result, await passive.deliver(collect)
        assert result.parked == previous.parked - 1

    more = passive.settings.more
    assert all(size(text) <= 2000 for text in passive.answered)
    assert [text.endswith(more) for text in passive.answered] == [True] * rounds + [False]
    read = "".join(text.removesuffix(more) for text in passive.answered)
    assert "".join(read.split()) == "".join(LONG.split())


async def test_a_collect_with_an_empty_mailbox_lets_the_request_go(passive):
    result = await passive.deliver(number("collect.m_1", "", kind="collect"))

    assert (result.status, result.parts, result.parked) == ("delivered", 0, 0)
    assert [offer.text for offer in passive.offers] == [""]


async def test_a_late_redelivery_of_a_parked_piece_parks_nothing_again(passive):
    """Its acknowledgement was lost; meanwhile the whole answer has been read."""
    await passive.deliver(number(1, "第一段。", final=False))
    await passive.deliver(number(2, "第二段。"))

    result = await passive.deliver(number(1, "第一段。", final=False), attempt=2)

    assert result.parked == 0
    assert passive.answered == ["第一段。\n\n第二段。"]


# -- the rest -----------------------------------------------------------------------------------


async def test_a_buried_delivery_lets_the_conversation_go_on(auto):
    body = msgspec.json.encode(delivery())

    [result] = await published(auto.first.egress.give_up(Buried("s", body, 1, "why")))
    assert (result.delivery_id, result.status) == (f"{TURN}.1", "failed")
    assert result.reasons == ("given up: why",)

    assert await published(auto.first.egress.give_up(Buried("s", b"{", 1, "why"))) == []


async def test_typing_is_shown_and_its_failure_is_no_failure(auto):
    await published(auto.first.egress.show_typing(received(MISSED)))
    assert auto.wechat.typed == ["oUSER"]

    auto.wechat.answers = [refusal(45081)]
    await published(auto.first.egress.show_typing(received(MISSED)))


async def test_typing_is_not_shown_late_or_against_the_setting(world):
    late = world()
    late.now_ms = NOW_MS + 20_000
    off = world(settings=Settings(typing=False))
    for one in (late, off):
        await published(one.first.egress.show_typing(received(MISSED)))
        assert one.wechat.typed == []


async def test_only_a_message_that_can_wait_is_offered_anything(auto):
    old = Waiting(msgid="m_0", received_ms=NOW_MS - 60_000)

    await auto.deliver(delivery(waiting=(old, waiting("m_1"))))

    assert {offer.msgid for offer in auto.offers} == {"m_1"}
