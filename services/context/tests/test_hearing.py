"""What is said to be known of a conversation is what its stream holds, or nothing is said."""

from dataclasses import dataclass
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
from queqiao_context.chain import Chain
from queqiao_context.hearing import LOOKBACK_MS, Heard

STARTED_MS = 1_000_000


@dataclass(frozen=True)
class Stored:
    sequence: int
    talk: str
    at: int


def delivery(stored, *, consumer="one", count):
    nanos = stored.at * 1_000_000
    reply = f"$JS.ACK.CHAT.{consumer}.1.{stored.sequence}.{count}.{nanos}.0"
    return SimpleNamespace(subject=f"chat.inbound.main.{stored.talk}", reply=reply)


def heard_of(*messages, start_ms=STARTED_MS, **options):
    heard = Heard(lambda: start_ms, **options)
    for count, stored in enumerate(messages, 1):
        heard.hear(delivery(stored, count=count))
    return heard


def at(seconds):
    return STARTED_MS + LOOKBACK_MS + int(seconds * 1000)


def after(heard, cursor, upto, talk="c_a"):
    return heard.next_after(cursor, account="main", conv=talk, upto=upto)


def test_the_next_message_of_a_conversation_is_known_without_a_look():
    heard = heard_of(Stored(3, "c_a", at(0)), Stored(5, "c_b", at(1)), Stored(8, "c_a", at(2)))

    assert after(heard, 3, 8) == Chain(3, 8, (8,))


def test_a_new_conversation_is_known_once_as_much_was_heard_as_is_looked_back():
    first = Stored(3, "c_a", at(0))

    assert after(heard_of(first), 0, 3) == Chain(0, 3, (3,))
    assert after(heard_of(first, start_ms=STARTED_MS + 1), 0, 3) is None


def test_of_two_messages_none_is_the_next_before_both_are_looked_for():
    heard = heard_of(Stored(3, "c_a", at(0)), Stored(4, "c_a", at(1)), Stored(5, "c_a", at(1)))

    assert after(heard, 3, 5) is None
    assert after(heard, 3, 4) == Chain(3, 4, (4,))


def test_what_was_delivered_to_nobody_may_have_been_of_any_conversation():
    heard = heard_of(Stored(3, "c_a", at(0)))
    heard.hear(delivery(Stored(9, "c_a", at(3)), count=3))

    assert after(heard, 3, 9) is None
    assert after(heard, 8, 9) == Chain(8, 9, (9,))


def test_another_consumer_begins_anew():
    heard = heard_of(Stored(3, "c_a", at(0)))
    heard.hear(delivery(Stored(9, "c_a", at(3)), consumer="two", count=2))

    assert after(heard, 3, 9) is None


def test_a_conversation_that_was_forgotten_is_not_taken_for_one_that_was_silent():
    messages = (Stored(3, "c_a", at(0)), Stored(4, "c_b", at(1)), Stored(5, "c_a", at(2)))

    assert after(heard_of(*messages, remember=1), 2, 5) is None
    assert after(heard_of(*messages, remember=1), 0, 5) is None


def test_of_many_messages_only_the_last_are_remembered():
    many = [Stored(number, "c_a", at(0)) for number in range(3, 6)]

    assert after(heard_of(*many, each=1), 2, 5) is None
    assert after(heard_of(*many, each=1), 0, 5) is None
    assert after(heard_of(*many, each=2), 4, 5) == Chain(4, 5, (5,))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["c_a", "c_b", "c_c"]),
        st.integers(0, LOOKBACK_MS // 2),
        st.sampled_from(["heard", "heard", "heard", "lost", "other consumer"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=300)
@given(steps=STEPS, remember=st.integers(1, 3), data=st.data())
def test_what_is_known_is_true_whatever_was_heard(steps, remember, data):
    heard = Heard(lambda: STARTED_MS, remember=remember, each=2)
    stored, consumer, count, now = [], 1, 0, STARTED_MS
    for number, (talk, pause, fate) in enumerate(steps, 1):
        now, count = now + pause, count + 1
        if fate == "other consumer":  # it begins with this one, not where the other ended
            consumer, count = consumer + 1, 2
        stored.append(Stored(number * 2, talk, now))
        if fate != "lost":
            heard.hear(delivery(stored[-1], consumer=f"c{consumer}", count=count))
    asked = data.draw(st.sampled_from(stored))
    earlier = [one.sequence for one in stored if one.sequence < asked.sequence]
    cursor = data.draw(st.sampled_from([0, 1, *earlier]))

    found = after(heard, cursor, asked.sequence, asked.talk)

    since = 0 if cursor else asked.at - LOOKBACK_MS
    between = tuple(
        one.sequence
        for one in stored
        if one.talk == asked.talk and cursor < one.sequence <= asked.sequence and one.at >= since
    )
    assert found is None or found == Chain(cursor, asked.sequence, between)
