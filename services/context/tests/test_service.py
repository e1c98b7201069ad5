"""The handlers around the state machine: lost streams, lost documents, lost timers."""

import asyncio
import itertools
from dataclasses import dataclass, field, replace

import pytest
from msgspec import structs
from queqiao_common import bus as bus_module
from queqiao_common import provision
from queqiao_common.errors import Postponed
from queqiao_common.events import (
    CompletionRequest,
    Delivery,
    Event,
    Summarised,
    TurnTimeout,
    Verdict,
)
from queqiao_common.follow import Follower
from queqiao_common.settings import Account, Config, ContextSettings, Nats, Notes, Pages, Secret
from queqiao_common.testing import (
    ACCOUNT,
    CONV,
    NOW_MS,
    MemoryDocuments,
    delivered,
    eventually,
    inbound,
    left_in_cycles,
    published,
    received,
    screened,
    screened_segment,
)
from queqiao_common.topology import CHAT, INBOUND, MODERATION_INBOUND
from queqiao_common.worker import Worker
from queqiao_context import store
from queqiao_context.chain import Chain, Gap
from queqiao_context.conversation import VERDICT_MS
from queqiao_context.document import Arrival
from queqiao_context.hearing import Heard
from queqiao_context.overload import Shed
from queqiao_context.service import Context, Documented
from queqiao_context.store import InboundStream
from queqiao_context.watch import PATIENCE_MS

KEY = f"{ACCOUNT}.{CONV}"
PAGE = "a" * 26
TIMEOUT_MS = int(ContextSettings().turn_timeout * 1000)


@dataclass
class FakeStream:
    """One conversation's inbound messages; epochs by whether they are asked for anew."""

    epochs: dict[bool, str] = field(default_factory=lambda: {False: "e1", True: "e1"})
    stored: dict[int, Arrival | None] = field(default_factory=dict)
    failed: dict[int, Arrival] = field(default_factory=dict)

    async def epoch(self, *, fresh: bool = False) -> str:
        if fresh:
            self.epochs[False] = self.epochs[True]
        return self.epochs[fresh]

    def known(self, cursor: int, *, account: str, conv: str, upto: int) -> Chain | None:
        return None

    async def chain(self, *, account: str, conv: str, gap: Gap) -> Chain:
        sequences = tuple(one for one in sorted(self.stored) if gap.after < one <= gap.upto)
        verdicts = tuple(found for one in sequences if (found := self.stored[one]))
        return Chain(gap.after, gap.upto, sequences, verdicts)

    async def given_up(self, *, account: str, conv: str, gap: Gap) -> Chain:
        chain = await self.chain(account=account, conv=conv, gap=gap)
        return replace(chain, verdicts=(*self.failed.values(), *chain.verdicts))

    def create_anew(self) -> None:
        """As another process would: nothing tells this replica."""
        self.epochs[True] = "e2"
        self.stored.clear()


@dataclass
class Setting:
    stream: FakeStream = field(default_factory=FakeStream)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    notes: MemoryDocuments = field(default_factory=MemoryDocuments)
    pages: MemoryDocuments = field(default_factory=MemoryDocuments)
    people: MemoryDocuments = field(default_factory=MemoryDocuments)
    sent: list[Event] = field(default_factory=list)
    now_ms: int = NOW_MS
    config: Config = field(default_factory=Config)
    shed: Shed = Shed.NOTHING

    def replica(self) -> Context:
        async def publish(event):
            self.sent.append(event)

        return Context(
            config=self.config,
            documents=Documented(
                conversations=self.documents,
                notes=self.notes,
                pages=self.pages,
                people=self.people,
            ),
            inbound=self.stream,
            publish=publish,
            now_ms=lambda: self.now_ms,
            new_page_id=lambda: PAGE,
            shed=lambda: self.shed,
        )

    async def say(self, context: Context, sequence: int, text: str = "问") -> list[Event]:
        said = screened(inbound(text, msgid=f"m_{sequence}_{text}"), sequence=sequence)
        self.stream.stored.setdefault(sequence, None)
        return await published(context.absorb(received(said)))


def nothing_heard() -> Heard:
    return Heard(lambda: 0)


def asked(events: list[Event]) -> list[str]:
    return [one.prompt[-1].content for one in events if isinstance(one, CompletionRequest)]


async def settled(setting: Setting, context: Context) -> None:
    """Forget the turn, as if it had been answered."""
    found = await setting.documents.get(KEY)
    quiet = structs.replace(found.value, turn=None, out=None, queue=())
    await setting.documents.put(KEY, quiet, revision=found.revision)


async def test_a_question_numbered_by_a_new_stream_is_not_taken_for_an_old_one():
    """Its sequence is below the cursor of the stream that was lost: it would be swallowed."""
    setting = Setting()
    context = setting.replica()
    await setting.say(context, 500)
    await settled(setting, context)
    setting.stream.create_anew()

    assert asked(await setting.say(context, 2, "流没了以后")) == ["流没了以后"]
    assert (await setting.documents.get(KEY)).value.epoch == "e2"


async def test_a_replica_that_does_not_know_of_the_new_stream_asks_before_it_resets_anything():
    """Else two replicas would each reset what the other has written, and answer twice."""
    setting = Setting()
    before, after = setting.replica(), setting.replica()
    await setting.say(before, 500)
    await settled(setting, before)
    setting.stream.create_anew()
    setting.stream.epochs[False] = "e2"
    await setting.say(after, 2)
    await settled(setting, after)

    setting.stream.epochs[False] = "e1"
    assert asked(await setting.say(before, 5, "下一句")) == ["下一句"]
    assert (await setting.documents.get(KEY)).value.cursor == 5


async def test_a_message_leaves_nothing_to_the_cycle_collector():
    """Its gap is an exception, and one that a frame still names is freed by the collector alone."""
    setting, sequences = Setting(), itertools.count(1)
    context = setting.replica()

    assert await left_in_cycles(lambda: setting.say(context, next(sequences))) < 5


async def test_after_its_document_was_lost_a_conversation_goes_on():
    """The messages before this one will not be delivered again: who waits for them waits for ever.

    They may be answered a second time; that is what a lost document costs.
    """
    setting = Setting()
    context = setting.replica()
    await setting.say(context, 1, "第一句")
    setting.stream.stored[1] = Arrival(screened=screened(inbound("第一句"), sequence=1))
    await setting.documents.delete(KEY)

    assert asked(await setting.say(setting.replica(), 2, "第二句")) == ["第一句\n第二句"]


async def test_a_turn_after_a_lost_document_has_an_id_of_its_own():
    """Under an old id its request would be dropped as a repeat, its reply taken for delivered."""
    setting = Setting()
    before = await setting.say(setting.replica(), 1)
    await setting.documents.delete(KEY)
    setting.stream.stored.clear()

    after = await setting.say(setting.replica(), 2)

    assert {event.id for event in before}.isdisjoint({event.id for event in after})


async def test_a_turn_whose_timer_is_lost_is_ended_all_the_same():
    """Nobody writes, no model answers, no timer fires: the user would wait for ever."""
    setting = Setting()
    context = setting.replica()
    await setting.say(context, 1)

    setting.now_ms += TIMEOUT_MS + PATIENCE_MS
    await context.look_after()

    [timeout] = setting.sent
    assert isinstance(timeout, TurnTimeout)
    [apology] = await published(context.expire(received(timeout)))
    assert isinstance(apology, Delivery)
    assert apology.text == ContextSettings().apology


async def test_a_turn_that_ended_elsewhere_is_left_alone():
    setting = Setting()
    context = setting.replica()
    await setting.say(context, 1)
    await settled(setting, context)

    setting.now_ms += TIMEOUT_MS + PATIENCE_MS
    await context.look_after()

    assert setting.sent == []


# -- a verdict that never comes -------------------------------------------------------------


async def stuck(setting: Setting, context: Context) -> list[Event]:
    """The second message is judged, of the first one nothing is heard for too long."""
    setting.stream.stored[1] = None
    assert await setting.say(context, 2, "第二句") == []
    setting.now_ms += VERDICT_MS + PATIENCE_MS
    await context.look_after()
    [timeout] = setting.sent
    setting.sent.clear()
    return await published(context.expire(received(timeout)))


async def test_a_verdict_that_never_comes_silences_nobody():
    """Whatever loses it: the messages behind it would never be answered, and nobody would know."""
    setting = Setting()
    context = setting.replica()
    first = screened(inbound("第一句", msgid="m_1"), sequence=1, verdict=Verdict.FAILED)
    setting.stream.failed[1] = Arrival(screened=first)

    [apology] = await stuck(setting, context)

    assert isinstance(apology, Delivery)
    assert apology.text == ContextSettings().apology
    talk = (await setting.documents.get(KEY)).value
    assert (talk.cursor, talk.early, talk.queue[0].text) == (2, (), "第二句")


async def test_while_moderation_may_still_speak_it_is_waited_for():
    """It may be stopped for an hour: what it has not looked at is not given up for it."""
    setting = Setting()
    context = setting.replica()

    assert await stuck(setting, context) == []
    setting.now_ms += 60_000
    await context.look_after()

    assert len(setting.sent) == 1  # it is looked after again
    assert asked(await setting.say(context, 1, "第一句")) == ["第一句\n第二句"]


@pytest.fixture
async def bus(broker):
    bus = await bus_module.connect(Nats(url=broker.url), "test")
    await provision.apply_patiently(bus)
    yield bus
    await bus.close()


async def store_messages(bus, *texts):
    for number, text in enumerate(texts, start=1):
        message = inbound(text, msgid=f"m_{number}")
        ack = await bus.publish_event(message)
        await bus.publish_event(screened(message, sequence=ack.seq))
        await asyncio.sleep(0.002)  # the broker's times are compared to the millisecond
    return ack.seq


@pytest.mark.broker
async def test_the_chain_holds_the_messages_in_order_and_what_was_said_of_them(bus):
    last = await store_messages(bus, "一", "二", "三")

    chain = await InboundStream(bus, nothing_heard()).chain(
        account=ACCOUNT, conv=CONV, gap=Gap(0, last)
    )

    assert chain.sequences == (1, 3, 5)
    assert [one.screened.text for one in chain.verdicts] == ["一", "二", "三"]


@pytest.mark.broker
async def test_a_conversation_without_a_cursor_does_not_look_back_for_ever(bus, monkeypatch):
    """A lost document must not have the questions of three days answered again."""
    monkeypatch.setattr(store, "LOOKBACK_MS", 0)
    last = await store_messages(bus, "一", "二", "三")

    chain = await InboundStream(bus, nothing_heard()).chain(
        account=ACCOUNT, conv=CONV, gap=Gap(0, last)
    )

    assert chain.sequences == (last,)


@pytest.mark.broker
async def test_only_what_moderation_is_done_with_is_given_up_for_it(bus):
    first = await bus.publish_event(inbound("一", msgid="m_1"))
    second = inbound("二", msgid="m_2")
    ack = await bus.publish_event(second)
    await bus.publish_event(screened(second, sequence=ack.seq))
    stream, gap = InboundStream(bus, nothing_heard()), Gap(0, ack.seq)

    before = await stream.given_up(account=ACCOUNT, conv=CONV, gap=gap)
    assert [one.screened.text for one in before.verdicts] == ["二"]

    async def nothing(_):
        return
        yield

    worker = Worker(bus, MODERATION_INBOUND, nothing)
    working = asyncio.create_task(worker.run())

    async def failed():
        chain = await stream.given_up(account=ACCOUNT, conv=CONV, gap=gap)
        return [one.screened for one in chain.verdicts if one.screened.verdict is Verdict.FAILED]

    [verdict] = await eventually(failed)
    worker.stop()
    await working
    assert (verdict.sequence, verdict.message.text) == (first.seq, "一")


@pytest.mark.broker
async def test_what_is_heard_need_not_be_looked_for(bus):
    heard = Heard(lambda: following.start_ms)
    following = Follower(
        bus, stream=CHAT.name, subject=INBOUND.filter, hear=heard.hear, since=120, bodies=False
    )
    task = asyncio.create_task(following.run())
    stream = InboundStream(bus, heard)
    where = {"account": ACCOUNT, "conv": CONV}

    first = await store_messages(bus, "一")
    known = await eventually(lambda: stream.known(0, **where, upto=first))
    assert known == await stream.chain(**where, gap=Gap(0, first))

    second = await store_messages(bus, "一", "二", "三")  # the first is a repeat
    assert await eventually(lambda: stream.known(second - 2, **where, upto=second))
    assert stream.known(first, **where, upto=second) is None

    bus.missing()
    assert stream.known(second - 2, **where, upto=second) is None
    following.stop()
    await task


@pytest.mark.broker
async def test_the_epoch_is_read_again_after_the_stream_was_lost(bus):
    stream = InboundStream(bus, nothing_heard())
    before = await stream.epoch()
    await bus.api(f"STREAM.DELETE.{CHAT.name}")
    await provision.apply_patiently(bus)

    assert await stream.epoch() == before
    bus.missing()  # as the consumer's loop says it
    assert await stream.epoch() != before


# -- notes, and their end -------------------------------------------------------------------


def noted() -> Setting:
    return Setting(config=Config(notes=Notes(enabled=True)))


async def learn(setting: Setting, context: Context, turn: int, *facts: str) -> None:
    piece = screened_segment(turn_id=f"{KEY}.{turn}", notes=facts)
    await published(context.record(received(piece)))


async def test_facts_of_an_answer_are_noted_and_given_to_the_next_question():
    setting = noted()
    context = setting.replica()
    await setting.say(context, 1)
    await learn(setting, context, 1, "喜欢猫")
    await learn(setting, context, 1, "喜欢猫")
    await settled(setting, context)

    [request] = [one for one in await setting.say(context, 2) if isinstance(one, CompletionRequest)]

    assert "喜欢猫" in request.prompt[1].content
    assert [fact.text for fact in (await setting.notes.get(KEY)).value.facts] == ["喜欢猫"]


async def test_facts_are_not_noted_where_nobody_asked_for_it():
    setting = Setting()
    context = setting.replica()
    await setting.say(context, 1)

    await learn(setting, context, 1, "喜欢猫")

    assert setting.notes.documents == {}


async def test_a_summary_s_facts_are_noted_even_where_its_text_comes_too_late():
    setting = noted()
    context = setting.replica()
    await setting.say(context, 1)
    await settled(setting, context)
    late = Summarised(
        id="summary:1", account=ACCOUNT, conv=CONV, upto=1, text="晚了", notes=("住在杭州",)
    )

    assert await published(context.summarise(received(late))) == []
    assert (await setting.notes.get(KEY)).value.facts[0].text == "住在杭州"
    assert (await setting.documents.get(KEY)).value.summary == ""


async def test_who_asks_to_be_forgotten_is_and_facts_that_come_late_are_not_noted():
    setting = noted()
    context = setting.replica()
    await setting.say(context, 1)
    await learn(setting, context, 1, "喜欢猫")

    await setting.say(context, 2, "忘记我")
    await learn(setting, context, 1, "住在杭州")

    assert (await setting.notes.get(KEY)).value is None
    assert (await setting.documents.get(KEY)).value.cursor == 2


async def test_to_be_forgotten_waits_for_the_messages_before_it():
    """Else what those still teach us would be noted after the erasure."""
    setting = noted()
    context = setting.replica()
    await setting.say(context, 1)
    await learn(setting, context, 1, "喜欢猫")
    setting.stream.stored |= {2: None, 3: None}

    with pytest.raises(Postponed, match="yet to come"):
        await setting.say(context, 3, "忘记我")
    assert (await setting.notes.get(KEY)).value is not None
    await setting.say(context, 2)
    await setting.say(context, 3, "忘记我")

    assert (await setting.notes.get(KEY)).value is None


async def test_the_user_is_shown_what_is_noted():
    setting = noted()
    context = setting.replica()
    await setting.say(context, 1)
    await learn(setting, context, 1, "喜欢猫")
    await settled(setting, context)

    [shown] = await setting.say(context, 2, "我的记忆")

    assert shown.text == "我记得这些关于你的事：\n· 喜欢猫"


# -- pages, overload ------------------------------------------------------------------------


async def test_a_page_stands_before_the_delivery_that_links_to_it():
    pages = Pages(base_url="https://example.com", key=Secret("k"), min_bytes=10)
    setting = Setting(config=Config(pages=pages))
    context = setting.replica()
    await setting.say(context, 1)
    piece = screened_segment("长长长长长", turn_id=f"{KEY}.1", final=True)

    recording = context.record(received(piece))
    first = await anext(recording)

    assert first.event.page == PAGE
    assert (await setting.pages.get(PAGE)).value.text == "长长长长长"
    assert [one async for one in recording] == []


async def test_a_new_user_is_turned_away_while_there_are_too_many():
    setting = Setting(shed=Shed.NEW)

    [notice] = await setting.say(setting.replica(), 1)

    assert notice.text == ContextSettings().overloaded


# -- people --------------------------------------------------------------------------------------

BY_API = Account(id=ACCOUNT, appid="wx1", token=Secret("t"), delivery="active")


async def handed_over(setting, context, **outcome):
    """The user has asked for a person, and has been handed over, or what else became of it."""
    await setting.say(context, 1, "转人工")
    out = (await setting.documents.get(KEY)).value.out
    result = delivered(delivery_id=out.id, turn_id=out.turn_id, **outcome)
    await published(context.settle(received(result)))
    return result


async def test_ingress_is_told_who_talks_to_a_person_and_for_how_long():
    """It would answer what they say with `success`, and nobody could pass it on."""
    setting = Setting(config=Config(accounts=(BY_API,)))
    context = setting.replica()

    await handed_over(setting, context)
    first = (await setting.people.get(KEY)).value
    setting.now_ms += 60_000
    await setting.say(context, 2, "在吗")

    timeout_ms = int(setting.config.handover.timeout * 1000)
    assert first.until_ms == NOW_MS + timeout_ms
    assert (await setting.people.get(KEY)).value.until_ms == NOW_MS + 60_000 + timeout_ms


async def test_ingress_is_told_before_anything_is_handed_over():
    """The next message may be there before the platform has taken the one that asked."""
    setting = Setting(config=Config(accounts=(BY_API,)))

    await setting.say(setting.replica(), 1, "转人工")

    assert (await setting.documents.get(KEY)).value.handed is None
    assert (await setting.people.get(KEY)).value is not None


async def test_ingress_is_told_that_nobody_was_reached():
    setting = Setting(config=Config(accounts=(BY_API,)))
    context = setting.replica()

    await handed_over(setting, context, status="failed")

    assert (await setting.people.get(KEY)).value is None


async def test_ingress_is_told_that_the_person_has_left():
    setting = Setting(config=Config(accounts=(BY_API,)))
    context = setting.replica()
    await handed_over(setting, context)

    await setting.say(context, 2, "返回机器人")

    assert (await setting.people.get(KEY)).value is None


async def test_a_replica_that_died_before_it_told_has_the_next_tell():
    """The event comes again, and finds the user with a person."""
    setting = Setting(config=Config(accounts=(BY_API,)))
    result = await handed_over(setting, setting.replica())
    await setting.people.delete(KEY)

    await published(setting.replica().settle(received(result)))

    assert (await setting.people.get(KEY)).value is not None


async def test_where_every_callback_is_held_anyway_nobody_is_told():
    setting = Setting(config=Config(accounts=(structs.replace(BY_API, delivery="auto"),)))

    await handed_over(setting, setting.replica())

    assert (await setting.documents.get(KEY)).value.handed is not None
    assert (await setting.people.get(KEY)).value is None
