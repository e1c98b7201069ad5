import asyncio

import pytest
from queqiao_common.settings import Persona
from queqiao_common.testing import NOW_MS, TURN, ForgetfulDocuments, eventually
from queqiao_llm.answers import WARMING, Answer
from queqiao_llm.menu import render

from services.llm.tests.fakes.cache import PERSONA, Bucket, Clock, Replica, Writer, keep, key, wall

MENU = render(["会员怎么退款？"], title="您是不是想问：", hint="回复数字即可；都不是请回复 0。")


@pytest.fixture
def bucket():
    return Bucket()


# -- what is answered ------------------------------------------------------------------------


async def test_the_second_to_ask_gets_the_first_ones_answer(bucket):
    replica = Replica(bucket, Writer("先登录。", "再点退款。"))

    first = await replica.ask("怎么申请退款？")
    [second] = await replica.ask("怎么申请退款")

    assert [(one.text, one.model) for one in first] == [
        ("先登录。", "main"),
        ("再点退款。", "main"),
    ]
    assert (second.text, second.model, second.final) == ("先登录。\n\n再点退款。", "cache", True)
    assert len(replica.writer.asked) == 1


async def test_an_answer_is_there_for_every_replica_and_after_a_restart(bucket):
    one, other = Replica(bucket, Writer("好。")), Replica(bucket, Writer("别的。"))
    await one.ask("怎么申请退款")

    restarted = Replica(bucket, Writer("别的。"))

    assert await other.text("怎么申请退款") == "好。"
    assert await restarted.text("怎么申请退款") == "好。"


async def test_the_same_question_in_other_words_gets_the_answer(bucket):
    replica = Replica(bucket, Writer("好。"))
    await replica.ask("如何取消会员？")

    assert await replica.text("请问会员怎么取消呀") == "好。"
    assert len(replica.writer.asked) == 1


async def test_another_question_in_almost_the_same_words_does_not(bucket):
    replica = Replica(bucket, Writer("好。"))
    await replica.ask("怎么开通自动续费")

    await replica.ask("怎么关闭自动续费")

    assert len(replica.writer.asked) == 2


async def test_a_redelivered_turn_is_answered_above_its_earlier_attempts(bucket):
    """Context drops pieces of an older attempt than it has seen."""
    replica = Replica(bucket, Writer("好。"))
    await replica.ask("怎么申请退款")

    [again] = await replica.ask("怎么申请退款", attempt=3)

    assert (again.attempt, again.number, again.id) == (201, 0, f"rep:{TURN}.201.0")


async def test_a_redelivered_turn_gets_its_answer_in_the_pieces_of_a_model(bucket):
    """The user may have read the first ones; context goes on after them."""
    first, second = "甲" * 300, "乙" * 300
    replica = Replica(bucket, Writer(first, second))
    await replica.ask("怎么申请退款")

    pieces = await replica.ask("怎么申请退款", attempt=2)

    assert [(one.number, one.text, one.final) for one in pieces] == [
        (0, first, False),
        (1, second, True),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"account": "second"},
        {"route": "other"},
        {
            "prompt": (
                PERSONA.__class__("system", "你是诗人。"),
                PERSONA.__class__("user", "怎么退款"),
            )
        },
    ],
)
async def test_accounts_routes_and_personas_share_nothing(bucket, other):
    replica = Replica(bucket, Writer("好。"))
    await replica.ask("怎么退款")

    await replica.ask("怎么退款", **other)

    assert len(replica.writer.asked) == 2


# -- what never enters -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", [("我的快递到哪了",), ("今天几点开门",), ("你好", "你好！", "怎么申请退款"), ("好吗",)]
)
async def test_what_is_not_for_everybody_is_neither_looked_up_nor_kept(bucket, said):
    replica = Replica(bucket, Writer("好。"))

    await replica.ask(*said)
    await replica.ask(*said)

    assert len(replica.writer.asked) == 2
    assert bucket.documents == {}


async def kept(bucket, writer):
    replica = Replica(bucket, writer)
    await replica.ask("怎么申请退款")
    again = Replica(bucket, Writer("好。"))
    await again.ask("怎么申请退款")
    return not again.writer.asked


async def test_an_answer_that_a_limit_cut_is_not_kept(bucket):
    assert not await kept(bucket, Writer("先登录，再", cut=True))


async def test_a_failure_is_not_kept(bucket):
    assert not await kept(bucket, Writer())


async def test_an_answer_that_is_too_long_is_not_kept(bucket):
    assert not await kept(bucket, Writer("长" * 30_000))


async def test_a_persona_that_keeps_its_answers_to_itself_shares_none(bucket):
    """One with tools answers by what it knows of the user."""
    personas = {"tools": Persona(prompt=PERSONA.content, cache=False)}
    replica = Replica(bucket, Writer("好。"), personas=personas)

    await replica.ask("怎么申请退款")

    assert bucket.documents == {}


async def test_a_cache_that_is_switched_off_does_nothing(bucket):
    await keep(bucket, "怎么申请退款", "好。")
    replica = Replica(bucket, Writer("新的。"), enabled=False)

    assert await replica.text("怎么申请退款") == "新的。"


# -- time ------------------------------------------------------------------------------------


async def test_an_answer_expires_and_a_pinned_one_does_not(bucket):
    clock = Clock()
    await keep(bucket, "怎么开发票", "钉住的。")
    replica = Replica(bucket, Writer("新的。"), now_ms=clock, ttl=60.0)
    await replica.ask("怎么申请退款")

    clock.now_ms += 60_000

    assert (await replica.ask("怎么申请退款"))[0].model == "main"
    assert await replica.text("怎么开发票") == "钉住的。"


async def test_the_least_used_answer_makes_room_but_never_a_pinned_one(bucket):
    await keep(bucket, "怎么开发票", "钉住的。")
    replica = Replica(bucket, Writer("好。"), max_answers=2)
    await replica.ask("怎么申请退款")
    await replica.ask("怎么更换手机")
    await replica.ask("怎么申请退款")

    await replica.ask("怎么投诉客服")

    assert {one.value.question for one in bucket.documents.values()} == {
        "怎么开发票",
        "怎么申请退款",
        "怎么投诉客服",
    }


async def test_hits_are_counted_in_the_bucket(bucket):
    replica = Replica(bucket, Writer("好。"))
    for _ in range(4):
        await replica.ask("怎么申请退款")

    await replica.cache.write_hits()
    await replica.cache.write_hits()

    assert bucket.documents[key("怎么申请退款")].value.hits == 3


# -- the menu --------------------------------------------------------------------------------


@pytest.fixture
async def curated(bucket):
    await keep(bucket, "会员怎么退款？", "会员退款：三天到账。")
    return bucket


async def test_a_question_that_may_be_meant_is_offered(curated):
    replica = Replica(curated, Writer("好。"))

    [menu] = await replica.ask("会员卡退款的钱哪天能到")

    assert (menu.text, menu.model, menu.final) == (MENU, "cache", True)
    assert menu.menu is not None
    assert (
        "\n".join(
            [
                menu.menu.head,
                *(f"{number}. {item.text}" for number, item in enumerate(menu.menu.items, start=1)),
                menu.menu.tail,
            ]
        )
        == MENU
    )
    assert replica.writer.asked == []


async def test_a_number_after_the_menu_gets_that_answer(curated):
    replica = Replica(curated, Writer("好。"))

    assert await replica.text("会员卡退款的钱哪天能到", MENU, "1") == "会员退款：三天到账。"


async def test_zero_gets_what_was_asked_from_the_model(curated):
    """And it is kept: the next one who asks so is not shown the menu again."""
    replica = Replica(curated, Writer("新的。"))

    assert await replica.text("会员卡退款怎么没到账", MENU, "0") == "新的。"
    assert replica.writer.asked[0].prompt[1:] == (
        PERSONA.__class__("user", "会员卡退款怎么没到账"),
    )
    assert await replica.text("会员卡退款怎么没到账") == "新的。"


async def test_a_number_whose_answer_is_gone_asks_the_model_that_question(bucket):
    replica = Replica(bucket, Writer("新的。"))

    assert await replica.text("会员卡退款的钱哪天能到", MENU, "1") == "新的。"
    assert replica.writer.asked[0].prompt[-1].content == "会员怎么退款？"


async def test_what_users_asked_is_not_offered_unless_wanted(bucket):
    """Something is always near; a menu in the place of an answer is a nuisance."""
    await keep(bucket, "会员怎么退款？", "好。", pinned=False, source="model")
    careful, eager = (
        Replica(bucket, Writer("新的。")),
        Replica(bucket, Writer("新的。"), menu="all"),
    )

    assert await eager.text("会员卡退款的钱哪天能到") == MENU
    assert await careful.text("会员卡退款的钱哪天能到") == "新的。"


async def test_no_menu_is_shown_to_who_cannot_answer_it(curated):
    """Without a history the number would come back as a question of its own."""
    replica = Replica(curated, Writer("新的。"), memory=0)

    assert await replica.text("会员卡退款的钱哪天能到") == "新的。"


# -- when no model can answer ----------------------------------------------------------------


async def test_a_near_answer_comes_before_the_apology_and_says_what_it_answers(curated):
    replica = Replica(curated, Writer(), menu="off")

    [piece] = await replica.ask("会员怎么才能退款成功")

    assert not piece.failed
    assert piece.text.endswith("会员退款：三天到账。")
    assert "「会员怎么退款？」" in piece.text


async def test_an_answer_to_something_else_is_no_help(curated):
    replica = Replica(curated, Writer(), menu="off")

    assert (await replica.ask("非会员怎么退款"))[-1].failed
    assert (await replica.ask("2个会员怎么退款"))[-1].failed
    assert (await replica.ask("怎么申请开发票"))[-1].failed


async def test_not_after_pieces_that_have_been_read(curated):
    """Context would take it for what follows them, and drop its beginning."""
    replica = Replica(curated, Writer(), menu="off")

    assert (await replica.ask("会员怎么才能退款成功", attempt=2))[-1].failed


async def test_and_is_not_kept_as_the_answer_to_what_was_asked(curated):
    replica = Replica(curated, Writer(), menu="off")
    await replica.ask("会员怎么才能退款成功")
    replica.writer.pieces = ("新的。",)

    assert await replica.text("会员怎么才能退款成功") == "新的。"


async def test_in_a_conversation_too(curated):
    replica = Replica(curated, Writer())

    [piece] = await replica.ask("你好", "你好！", "会员怎么退款")

    assert piece.text.endswith("会员退款：三天到账。")


# -- many at once ----------------------------------------------------------------------------


async def test_a_hundred_who_ask_the_same_at_once_cost_one_call(bucket):
    gate = asyncio.Event()
    replicas = [Replica(bucket, Writer("好。", gate=gate)) for _ in range(2)]
    asked = [
        asyncio.create_task(replica.ask("怎么申请退款")) for _ in range(50) for replica in replicas
    ]
    await eventually(lambda: sum(replica.waiting for replica in replicas) == 99)
    gate.set()

    answers = await asyncio.gather(*asked)

    assert {one.text for pieces in answers for one in pieces} == {"好。"}
    assert sum(len(replica.writer.asked) for replica in replicas) == 1


async def test_when_the_one_who_asks_fails_the_others_ask_for_themselves(bucket):
    """Each turn has its own retries; none may wait in a queue of failures."""
    gate = asyncio.Event()
    replicas = [Replica(bucket, Writer(gate=gate)) for _ in range(2)]
    asked = [asyncio.create_task(one.ask("怎么申请退款")) for _ in range(3) for one in replicas]
    await eventually(lambda: sum(one.waiting for one in replicas) == 5)
    gate.set()

    answers = await asyncio.gather(*asked)

    assert all(pieces[-1].failed for pieces in answers)
    assert sum(len(one.writer.asked) for one in replicas) == 6


async def test_the_lease_of_a_dead_replica_is_taken_over_when_it_ends(bucket):
    lease = Answer(
        question="怎么申请退款", created_ms=wall(), expires_ms=wall() + 80, writer="dead"
    )
    await bucket.create(key("怎么申请退款"), lease)
    replica = Replica(bucket, Writer("好。"))

    answers = await asyncio.gather(*(replica.text("怎么申请退款") for _ in range(5)))

    assert set(answers) == {"好。"}
    assert len(replica.writer.asked) == 1


async def test_nobody_waits_longer_than_is_set(bucket):
    lease = Answer(
        question="怎么申请退款", created_ms=wall(), expires_ms=wall() + 60_000, writer="slow"
    )
    await bucket.create(key("怎么申请退款"), lease)
    replica = Replica(bucket, Writer("好。"), wait=0.05)

    assert await replica.text("怎么申请退款") == "好。"
    assert bucket.documents[key("怎么申请退款")].value == lease


class ForgetfulBucket(ForgetfulDocuments, Bucket):
    """A bucket whose answers to updates are lost."""


async def test_who_has_taken_over_a_lease_but_was_not_told_fetches_the_answer():
    """Else it would wait for itself, until its own lease has ended."""
    over = Answer(question="怎么申请退款", created_ms=0, expires_ms=wall() - 1, writer="dead")
    bucket = ForgetfulBucket()
    await bucket.create(key("怎么申请退款"), over)
    replica = Replica(bucket, Writer("好。"))

    async with asyncio.timeout(5):
        assert await replica.text("怎么申请退款") == "好。"
    assert len(replica.writer.asked) == 1


async def test_a_lease_is_prolonged_while_its_holder_lives(bucket):
    clock, gate = Clock(), asyncio.Event()
    replica = Replica(bucket, Writer("好。", gate=gate), now_ms=clock)
    asked = asyncio.create_task(replica.ask("怎么申请退款"))
    await eventually(lambda: replica.writer.asked)

    clock.now_ms += 8_000
    await replica.flights.renew()
    lease = bucket.documents[key("怎么申请退款")].value
    gate.set()
    await asked

    assert lease.expires_ms == NOW_MS + 18_000
    assert bucket.documents[key("怎么申请退款")].value.text == "好。"


async def test_who_is_stopped_while_asking_holds_nobody_up(bucket):
    replica = Replica(bucket, Writer("好。", gate=asyncio.Event()))
    stopped = asyncio.create_task(replica.ask("怎么申请退款"))
    await eventually(lambda: replica.writer.asked)
    waiting = asyncio.create_task(replica.ask("怎么申请退款"))
    await eventually(lambda: replica.waiting)

    stopped.cancel()
    replica.writer.gate.set()

    assert (await waiting)[-1].text == "好。"


async def test_an_operators_answer_that_comes_meanwhile_is_not_written_over(bucket):
    gate = asyncio.Event()
    replica = Replica(bucket, Writer("好。", gate=gate))
    asked = asyncio.create_task(replica.ask("怎么申请退款"))
    await eventually(lambda: replica.writer.asked)
    lease = await bucket.get(key("怎么申请退款"))
    better = Answer(question="怎么申请退款", text="更好的。", created_ms=NOW_MS, pinned=True)
    await bucket.put(key("怎么申请退款"), better, revision=lease.revision)
    gate.set()
    await asked

    assert await replica.text("怎么申请退款") == "更好的。"


async def test_without_a_broker_every_turn_is_answered_by_the_model(bucket):
    bucket.is_away = True
    replica = Replica(bucket, Writer("好。"))

    answers = await asyncio.gather(*(replica.text("怎么申请退款") for _ in range(3)))

    assert set(answers) == {"好。"}
    assert len(replica.writer.asked) == 3


# -- warming ---------------------------------------------------------------------------------


async def test_a_question_asked_to_warm_the_cache_is_asked_whatever_lies_near(curated):
    replica = Replica(curated, Writer("新的。"))

    await replica.ask("会员如何退款", conv=WARMING)

    [warmed] = [one.value for one in curated.documents.values() if not one.value.pinned]
    assert (warmed.text, warmed.source) == ("新的。", "warm")
