import logging
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from queqiao_common import events
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.settings import Budgets, Ceiling
from queqiao_common.testing import CONV, NOW_MS, TURN, MemoryDocuments, received, request, segment
from queqiao_common.topology import USAGE
from queqiao_llm.answers import WARMING
from queqiao_llm.budgeting import Budgeting
from queqiao_llm.ledger import Ledger
from queqiao_llm.runs import Said
from queqiao_llm.usage import Tally

USED = events.Usage(input_tokens=100, output_tokens=50, cost_micros=700)
DAY_MS = 86_400_000


def written(key, body):
    """A write to the bucket, as every replica hears it."""
    return SimpleNamespace(subject=f"$KV.{USAGE.name}.{key}", data=body, headers=None, reply="")


class Clock:
    def __init__(self):
        self.now_ms = NOW_MS

    def __call__(self):
        return self.now_ms


class Bucket(MemoryDocuments):
    """A bucket whose writes of totals every replica hears."""

    def __init__(self):
        super().__init__()
        self.ledgers = []
        self.is_away = False

    async def put(self, key, value, *, revision):
        if self.is_away:
            raise BrokerUnavailable("gone fishing")
        revision = await super().put(key, value, revision=revision)
        if ".total." in key:
            raw = written(key, events.encode(value))
            for ledger in self.ledgers:
                ledger.hear(raw)
        return revision


class Replica:
    def __init__(self, bucket, clock, name="a", piece=None, **budgets):
        self.ledger = Ledger(bucket, replica=name, zone=ZoneInfo("Asia/Shanghai"), now_ms=clock)
        bucket.ledgers.append(self.ledger)
        self.asked = 0
        self.piece = piece or segment(final=True, usage=USED, model="main")
        settings = Budgets(**({"enabled": True} | budgets))
        self.budgeting = Budgeting(self._write, budgets=settings, users=bucket, ledger=self.ledger)

    async def _write(self, turn):
        self.asked += 1
        yield Said(self.piece)

    async def ask(self, number=1, *, attempt=1, **fields):
        """Ask once; return what was said."""
        turn = request(turn_id=f"main.{CONV}.{number}", **fields)
        said = self.budgeting.write(received(turn, attempt=attempt))
        [one] = [one async for one in said]
        return one


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bucket():
    return Bucket()


async def test_beyond_the_days_questions_a_user_is_told_kindly(bucket, clock, caplog):
    replica = Replica(bucket, clock, questions=2)
    with caplog.at_level(logging.INFO):
        answers = [await replica.ask(number) for number in range(3)]

    assert [one.segment.notice for one in answers] == [False, False, True]
    assert "明天" in answers[-1].segment.text
    assert (answers[-1].segment.final, answers[-1].cut) == (True, True)
    assert replica.asked == 2
    [refused] = [one for one in caplog.records if one.message == "budget.refused"]
    assert (refused.reason, refused.tier) == ("user_questions", "default")


async def test_the_next_day_begins_anew(bucket, clock):
    replica = Replica(bucket, clock, questions=1)
    await replica.ask(1)
    clock.now_ms += DAY_MS

    assert not (await replica.ask(2)).segment.notice


async def test_tokens_are_counted_when_an_answer_is_over(bucket, clock):
    replica = Replica(bucket, clock, tokens=200)

    answers = [await replica.ask(number) for number in range(3)]

    assert [one.segment.notice for one in answers] == [False, False, True]


async def test_replicas_count_one_user_together(bucket, clock):
    a, b = Replica(bucket, clock, "a", questions=1), Replica(bucket, clock, "b", questions=1)
    await a.ask(1)

    assert (await b.ask(2)).segment.notice


async def test_a_redelivered_turn_is_let_through_again_and_counted_once(bucket, clock):
    """Its first pieces may have been read: a refusal would tear the answer apart."""
    replica = Replica(bucket, clock, questions=1, ceiling=Ceiling(tokens=1))
    await replica.ask(1)

    again = await replica.ask(1, attempt=2)

    assert not again.segment.notice
    [day] = [one.value for key, one in bucket.documents.items() if ".user." in key]
    assert day.total == Tally(1, 100, 50, 700)


async def test_a_question_without_an_answer_is_free(bucket, clock):
    failed = segment("", final=True, failed=True)
    replica = Replica(bucket, clock, piece=failed, questions=1)

    for number in range(3):
        assert (await replica.ask(number)).segment.failed


async def test_a_notice_of_ours_is_free(bucket, clock):
    replica = Replica(bucket, clock, piece=segment("看不了", final=True, notice=True), questions=1)
    await replica.ask(1)
    await replica.ask(2)

    assert replica.asked == 2
    assert replica.ledger.spent("main") == Tally()


async def test_an_account_that_reached_its_ceiling_answers_nobody(bucket, clock):
    replica = Replica(bucket, clock, ceiling=Ceiling(cost=0.001))
    for user in ("c_1", "c_2"):
        await replica.ask(1, conv=user)

    refused = await replica.ask(1, conv="c_3")

    assert "休息" in refused.segment.text
    assert not (await replica.ask(1, conv="c_3", account="other")).segment.notice


async def test_the_ceiling_is_kept_over_all_replicas_once_they_have_told(bucket, clock):
    a = Replica(bucket, clock, "a", ceiling=Ceiling(tokens=150))
    b = Replica(bucket, clock, "b", ceiling=Ceiling(tokens=150))
    await a.ask(1)
    assert not (await b.ask(2)).segment.notice  # not told yet: at most what is answered in 5 s

    await a.ledger.flush()

    assert (await b.ask(3)).segment.notice
    assert b.ledger.spent("main") == Tally(2, 200, 100, 1400)


async def test_what_was_told_twice_counts_once(bucket, clock):
    a, b = Replica(bucket, clock, "a"), Replica(bucket, clock, "b")
    await a.ask(1)
    await a.ledger.flush()
    await a.ask(2)
    await a.ledger.flush()
    await a.ledger.flush()

    assert a.ledger.spent("main") == b.ledger.spent("main") == Tally(2, 200, 100, 1400)


async def test_usage_is_counted_where_nothing_is_limited(bucket, clock):
    replica = Replica(bucket, clock, enabled=False)
    await replica.ask(1, persona="tutor")
    await replica.ledger.flush()

    [(key, shard)] = [(key, one.value) for key, one in bucket.documents.items()]
    assert key.endswith(".total.a")
    assert shard.lines == {"main|tutor|main": Tally(1, 100, 50, 700)}


@pytest.mark.parametrize("fields", [{"purpose": "summary"}, {"conv": WARMING}])
async def test_what_no_user_asked_counts_for_the_account_alone(bucket, clock, fields):
    replica = Replica(bucket, clock, questions=0, ceiling=Ceiling(tokens=150))

    assert not (await replica.ask(1, **fields)).segment.notice
    assert (await replica.ask(2, **fields)).segment.notice
    assert not any(".user." in key for key in bucket.documents)


async def test_without_the_broker_nobody_is_refused(bucket, clock):
    """A limit that is not kept for a while costs less than a service that is silent."""
    replica = Replica(bucket, clock, questions=1)
    bucket.is_away = True

    for number in range(3):
        assert not (await replica.ask(number)).segment.notice
    await replica.ledger.flush()
    bucket.is_away = False
    await replica.ledger.flush()

    [shard] = [one.value for one in bucket.documents.values()]
    assert shard.lines["main|assistant|main"].questions == 3


async def test_what_another_replica_wrote_and_nobody_can_read_is_no_reason_to_stop(bucket, clock):
    replica = Replica(bucket, clock)

    replica.ledger.hear(written("20260101.total.b", b"\xff"))

    assert replica.ledger.spent("main") == Tally()


async def test_the_turn_in_a_refusal_is_the_one_that_asked(bucket, clock):
    replica = Replica(bucket, clock, questions=0)

    said = await replica.ask(1)

    assert said.segment.id == f"rep:{TURN}.1.0"
