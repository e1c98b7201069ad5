"""The architecture's promises, under any interleaving, repetition, delay and crash.

The handlers are the real ones, the buckets the real compare-and-swap, over a broker and a platform
in memory. What is drawn is the order of all steps, what becomes of each, who dies and when.
By default the same histories each time; `QUEQIAO_MODEL_EXAMPLES` says how many new ones are tried.
"""

import math

import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from queqiao_common.events import Delivery
from queqiao_common.settings import environment

from tests.models.broker import BASE_MS
from tests.models.platform import MARK
from tests.models.world import PIECE, World

EXAMPLES = environment("QUEQIAO_MODEL_EXAMPLES")
MESSAGES = 7
FLUSHES = 10
PICKS = st.integers(0, 11)


class Promises(RuleBasedStateMachine):
    """Two users, two replicas of everything, and whatever may happen to them."""

    world: World

    @initialize(
        mode=st.sampled_from(["auto", "active", "passive"]),
        policy=st.sampled_from(["resend", "drop"]),
        quota=st.integers(2, 5),
        pieces=st.integers(1, 2),
        at=st.integers(0, 60),
    )
    def begin(self, mode, policy, quota, pieces, at):
        self.world = World(mode=mode, policy=policy, quota=quota, pieces=pieces)
        self.world.write()
        self.world.go_on(at)

    @rule(user=st.sampled_from([0, 0, 1]))
    def a_user_writes(self, user):
        if self.world.platform.messages < MESSAGES:
            self.world.write(user)

    @rule(picks=st.lists(st.tuples(PICKS, st.integers(0, 1)), min_size=1, max_size=12))
    def steps_are_taken(self, picks):
        for index, pick in picks:
            self.world.step(index, pick=pick)

    @rule(count=st.integers(1, 40))
    def all_goes_well_for_a_while(self, count):
        self.world.go_on(count)

    @rule(index=PICKS, fate=st.sampled_from(["lost", "unknown", "down"]))
    def a_step_goes_wrong(self, index, fate):
        self.world.go_wrong(index, fate)

    @rule(index=st.integers(0, 60))
    def an_event_comes_again(self, index):
        self.world.repeat(index)

    @rule(index=PICKS)
    def a_replica_dies(self, index):
        self.world.crash(index)

    @rule(seconds=st.sampled_from([0.2, 0.6, 1.0, 4.6, 5.0, 13.0]))
    def time_passes(self, seconds):
        self.world.pass_time(seconds)

    @invariant()
    def nobody_is_surprised(self):
        if hasattr(self, "world"):
            assert not self.world.broker.accidents
            assert not self.world.platform.accidents

    def teardown(self):
        if not hasattr(self, "world"):
            return
        try:
            self.world.rest()
            platform = self.world.platform
            asked, refusals = platform.messages, platform.refusals
            for _ in range(FLUSHES):
                silent = [one for one in self.world.chats if unanswered(self.world, one, asked)]
                if not silent:
                    break
                for chat in silent:
                    self.world.write(self.world.chats.index(chat))
                self.world.rest()
            self.nobody_is_surprised()
            # Before, a message may have left while the user wrote, or WeChat delivered again.
            assert platform.refusals == refusals
            check(self.world, asked)
        except AssertionError as error:
            chats = (f"{one.openid} {shown}" for one in self.world.chats for shown in one.shown)
            error.add_note("\n".join((*self.world.turnstile.log, *chats)))
            raise
        finally:
            self.world.close()


def marks_in(chat):
    return [mark for one in chat.shown for mark in MARK.findall(one.text)]


def unanswered(world, chat, upto=math.inf):
    """Return the acknowledged questions, of the first `upto`, that nothing shown stands for."""
    seen = {*marks_in(chat), *excused(world, chat)}
    return [
        mark
        for mark, msgid in chat.marks.items()
        if msgid in chat.acknowledged and mark not in seen and int(msgid[1:]) <= upto
    ]


def apologies(world, chat):
    """Return what was published as the apology to a user, and when (Unix ms)."""
    return [
        (stored.event, BASE_MS + stored.at * 1000)
        for stored in world.broker.stored
        if isinstance(stored.event, Delivery)
        and stored.event.conv == chat.conv
        and stored.event.text == world.config.context.apology
    ]


def excused(world, chat):
    """Return the questions that an apology stands for which the user has been shown."""
    apology = world.config.context.apology
    if not any(apology in one.text for one in chat.shown):
        return set()
    marks = {msgid: mark for mark, msgid in chat.marks.items()}
    return {marks[one.msgid] for delivery, _ in apologies(world, chat) for one in delivery.waiting}


def hasty(world, chat):
    """Return the apologies for turns that still had time: here, every model answers."""
    patience_ms = (world.config.context.turn_timeout - 1) * 1000
    return [
        delivery
        for delivery, at_ms in apologies(world, chat)
        if any(at_ms < one.received_ms + patience_ms for one in delivery.waiting)
    ]


def repeated(chat):
    """Return the messages in which the user reads something again."""
    known, again = set(), []
    for one in chat.shown:
        parts = {*MARK.findall(one.text), *(part[:2] for part in PIECE.findall(one.text))}
        if parts & known:
            again.append(one)
        known |= parts
    return again


def crossed(chat):
    """Return what the user reads that is another's."""
    turns = [part[0] for one in chat.shown for part in PIECE.findall(one.text)]
    foreign = [turn for turn in turns if not turn.startswith(f"{chat.conv}.")]
    return [*foreign, *(mark for mark in marks_in(chat) if mark not in chat.marks)]


def torn(world, chat):
    """Return the parts that are missing of what the user has been shown in part.

    An apology or the hint that the end is cut may stand for it; and what a callback would have
    carried that WeChat gave up, it has told the user so.
    """
    ended = (world.config.context.apology, world.config.delivery.cut)
    is_told = any(text in one.text for one in chat.shown for text in ended)
    if is_told or chat.refused:
        return set()
    parts = {part[:2] for one in chat.shown for part in PIECE.findall(one.text)}
    begun = {turn for turn, _ in parts}
    waiting = {part[:2] for part in PIECE.findall(world.mailbox(chat))}
    return (
        {(turn, str(number)) for turn in begun for number in range(world.pieces)} - parts - waiting
    )


def check(world, asked):
    doubts, again = world.doubts, [one for chat in world.chats for one in repeated(chat)]
    lost = [mark for chat in world.chats for mark in unanswered(world, chat, asked)]
    event(f"in doubt: {min(doubts, 2)}, repeated: {len(again)}, deaths: {min(world.deaths, 3)}")
    assert world.may_doubt or not doubts
    event(f"users: {sum(bool(chat.shown) for chat in world.chats)}")
    if world.policy == "resend":
        assert not lost
        assert not any(torn(world, chat) for chat in world.chats)
        assert len(again) <= doubts
    else:
        assert not again
        assert doubts or not lost
    for chat in world.chats:
        assert not crossed(chat)
        assert not hasty(world, chat)
        once = {mark for mark, msgid in chat.marks.items() if chat.deliveries[msgid] == 1}
        first = [mark for mark in dict.fromkeys(marks_in(chat)) if mark in once]
        assert first == sorted(first, key=accepted(world).__getitem__)


def accepted(world):
    """Return the place of each question in the stream that accepted it."""
    return {
        mark: stored.sequence
        for stored in reversed(world.broker.stored)
        if type(stored.event).__name__ == "InboundMessage"
        for mark in MARK.findall(stored.event.text)
    }


TestPromises = Promises.TestCase
TestPromises.settings = settings(
    max_examples=int(EXAMPLES or 120),
    derandomize=not EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
pytestmark = pytest.mark.slow
