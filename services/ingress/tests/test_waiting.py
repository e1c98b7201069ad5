import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.claims import Claim
from queqiao_common.events import PassiveOffer
from queqiao_common.testing import ACCOUNT, CONV
from queqiao_ingress.waiting import DELIVERIES, REMEMBERED, Seat, Stay, Terms, WaitingRoom

KEY = (ACCOUNT, "m_1")
LONG_AGO = 0.0
NEVER = float(2**40)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def room(clock):
    return WaitingRoom(seats=2, now=clock, remembers=3)


def offer(text="答", *, msgid="m_1", now=True, items=("d.1",)):
    return PassiveOffer(
        id=f"offer:{msgid}",
        account=ACCOUNT,
        conv=CONV,
        msgid=msgid,
        text=text,
        items=items,
        now=now,
    )


def terms(mode="passive", delivery=1):
    return Terms(mode, delivery, thinking="想")


async def stays() -> None:
    """A client that never leaves."""
    await asyncio.Event().wait()


async def leaves() -> None:
    """A client that is gone."""


OFFERS = st.none() | st.builds(offer, st.text(), now=st.booleans())
TERMS = st.builds(Terms, st.sampled_from(["passive", "auto"]), st.integers(1, 5), st.text())


# -- decisions -----------------------------------------------------------------------------------


@given(terms=TERMS, is_over=st.booleans())
def test_a_reply_that_is_ready_is_given_at_once(terms, is_over):
    claim = terms.decide(offer("答", items=("d.1", "d.2")), is_over=is_over)

    assert claim == Claim(kind="reply", answer="答", items=("d.1", "d.2"))


@given(terms=TERMS, offer=st.none() | st.builds(offer, now=st.just(False)))
def test_without_one_the_request_waits_for_the_whole_window(terms, offer):
    assert terms.decide(offer, is_over=False) is Stay.WAIT


@given(delivery=st.integers(1, 5), offer=st.none() | st.builds(offer, now=st.just(False)))
def test_where_there_is_an_api_the_reply_comes_later(delivery, offer):
    assert terms("auto", delivery).decide(offer, is_over=True) == Claim(kind="later")


@pytest.mark.parametrize("delivery", range(1, DELIVERIES))
def test_where_there_is_none_the_first_windows_end_in_silence(delivery):
    """Any answer would end WeChat's attempts, and with them the chance to reply at all."""
    assert terms(delivery=delivery).decide(offer(now=False), is_over=True) is Stay.SILENT


@pytest.mark.parametrize("delivery", [DELIVERIES, DELIVERIES + 1])
def test_the_last_window_ends_in_the_best_there_is(delivery):
    last = terms(delivery=delivery)

    assert last.decide(None, is_over=True) == Claim(kind="thinking", answer="想")
    assert last.decide(offer("前半", now=False), is_over=True) == Claim(
        kind="thinking", answer="前半", items=("d.1",)
    )


@given(terms=TERMS, offer=OFFERS)
def test_after_its_window_no_request_waits_on(terms, offer):
    assert terms.decide(offer, is_over=True) is not Stay.WAIT


# -- a seat --------------------------------------------------------------------------------------


async def test_a_held_request_ends_with_an_offer(room):
    with room.seat(KEY) as seat:
        held = asyncio.create_task(seat.hold(terms(), until=NEVER))
        room.hear(offer("还没", now=False))
        room.hear(offer("好了"))

        assert await held == Claim(kind="reply", answer="好了", items=("d.1",))


async def test_a_held_request_ends_with_its_window():
    assert await Seat().hold(terms("auto"), until=LONG_AGO) == Claim(kind="later")


async def test_every_request_for_the_message_hears_the_offer(room):
    with room.seat(KEY) as first, room.seat(KEY) as second:
        room.hear(offer())

        for seat in (first, second):
            assert isinstance(await seat.hold(terms(), until=NEVER), Claim)


async def test_a_request_whose_client_left_claims_nothing(room):
    """What it claimed would be counted as delivered, and nobody would read it."""
    with room.seat(KEY) as seat:
        async with seat.watching(leaves):
            held = await seat.hold(terms(), until=NEVER)
            room.hear(offer())

        assert held is Stay.GONE
        assert await seat.hold(terms(), until=NEVER) is Stay.GONE


async def test_a_silent_request_ends_when_its_client_leaves(room):
    with room.seat(KEY) as seat:
        silent = asyncio.create_task(seat.linger(until=NEVER))
        room.hear(offer())
        seat.leave()

        await silent


async def test_a_silent_request_ends_by_itself_if_its_client_does_not():
    await Seat().linger(until=LONG_AGO)


async def test_a_cancelled_request_frees_its_seat_and_its_watcher(room):
    """When the process stops, the server cancels what is still open."""
    before = asyncio.all_tasks()

    async def request() -> None:
        with room.seat(KEY) as seat:
            async with seat.watching(stays):
                await seat.hold(terms(), until=NEVER)

    both = [asyncio.create_task(request()) for _ in range(2)]
    await asyncio.wait(both, timeout=0)
    assert room.refuses((ACCOUNT, "m_2"))
    for task in both:
        task.cancel()
    await asyncio.wait(both)

    assert not room.refuses((ACCOUNT, "m_2"))
    assert asyncio.all_tasks() == before


# -- the room ------------------------------------------------------------------------------------


async def test_an_offer_waits_for_a_request_that_comes_later(room, clock):
    """WeChat's next delivery may come to another replica, seconds after the offer."""
    room.hear(offer("答"))
    clock.seconds += REMEMBERED - 1

    with room.seat(KEY) as seat:
        assert seat.offer == offer("答")


async def test_an_offer_is_forgotten_when_no_delivery_can_come(room, clock):
    room.hear(offer("答"))
    clock.seconds += REMEMBERED

    with room.seat(KEY) as seat:
        assert seat.offer is None


async def test_offers_for_others_are_not_heard(room):
    with room.seat(KEY) as seat:
        room.hear(offer(msgid="m_2"))
        room.hear(PassiveOffer(id="o", account="other", conv=CONV, msgid="m_1", text="", items=()))

        assert seat.offer is None


async def test_a_later_part_replaces_an_earlier_but_not_the_whole(room):
    with room.seat(KEY) as seat:
        for text, now in (("一", False), ("一二", False), ("一二三", True), ("一二", False)):
            room.hear(offer(text, now=now))

        assert seat.offer == offer("一二三")


def test_memory_is_bounded(room):
    for number in range(10):
        room.hear(offer(msgid=f"m_{number}"))

    assert len(room._known) == 3


async def test_a_full_room_refuses_a_new_message_but_no_repeated_delivery(room):
    """Its message was accepted: to ask for patience now would be to answer it twice."""
    with room.seat(KEY), room.seat((ACCOUNT, "m_2")):
        assert room.refuses((ACCOUNT, "m_3"))
        assert not room.refuses(KEY)

    assert not room.refuses((ACCOUNT, "m_3"))
