import asyncio

import pytest
from queqiao_common.answers import PubAck, StreamFull
from queqiao_common.claims import Claim, Tries, claim_key, tries_key
from queqiao_common.displays import Display, display_key
from queqiao_common.errors import BrokerUnavailable, PermanentError
from queqiao_common.events import (
    Form,
    InboundMessage,
    PassiveOffer,
    PullWanted,
    ReplyGiven,
    WindowMissed,
    encode,
)
from queqiao_common.people import WithPerson, person_key
from queqiao_common.testing import ACCOUNT, NOW_MS, MemoryDocuments, inbound
from queqiao_ingress.callback import (
    Callback,
    Hold,
    Ignore,
    Poll,
    Publish,
    Purpose,
    Reply,
    Say,
    Stream,
)
from queqiao_ingress.people import People
from queqiao_ingress.service import Answer, Ingress
from queqiao_ingress.streams import Streams
from queqiao_ingress.waiting import MOST_OPEN, WaitingRoom
from queqiao_ingress.wrappings import Silence

from services.ingress.tests import wechat
from services.ingress.tests.memory_broker import FakeBroker, Message

MSGID = "m_1"
CLAIM = claim_key(ACCOUNT, MSGID)
LONG_AGO = 0.0


class Replica(Ingress):
    """One that knows which account its test is about."""

    def __init__(self, *arguments, mode, **keywords) -> None:
        super().__init__(*arguments, **keywords)
        self.mode = mode


class World:
    """One or more replicas of ingress around one broker that lives in memory."""

    def __init__(self, *, delivery="auto", seats=5, longest=0.0) -> None:
        self.mode = delivery
        self.config = wechat.config(wechat.account())
        self.broker = FakeBroker()
        self.claims: MemoryDocuments[Claim] = MemoryDocuments()
        self.tries: MemoryDocuments[Tries] = MemoryDocuments()
        self.displays: MemoryDocuments[Display] = MemoryDocuments()
        self.now_ms = NOW_MS
        self.people = People(now_ms=lambda: self.now_ms)
        self._seats, self._longest = seats, longest

    def replica(self) -> "Replica":
        return Replica(
            self.config,
            publisher=self.broker,
            claims=self.claims,
            tries=self.tries,
            streams=Streams(self.displays, now_ms=lambda: self.now_ms),
            room=WaitingRoom(seats=self._seats, now=lambda: 0.0),
            people=self.people,
            longest=self._longest,
            mode=self.mode,
        )

    @property
    def claim(self) -> Claim | None:
        document = self.claims.documents.get(CLAIM)
        return document.value if document else None


def callback(purpose: Purpose, *, takes_text=True) -> Callback:
    return Callback(purpose, Silence(), takes_text=takes_text)


def of_mode(mode, message=None) -> Callback:
    """A callback of an account with this way of delivery."""
    message = message or inbound(msgid=MSGID)
    return callback(Publish(message, announces=True) if mode == "active" else Hold(message, mode))


def offer(text="答", *, now=True, items=("d.1",), form=None) -> Message:
    event = PassiveOffer(
        id="offer:1",
        account=ACCOUNT,
        conv="c_1",
        msgid=MSGID,
        text=text,
        items=items,
        now=now,
        form=form,
    )
    return Message(encode(event))


async def stays() -> None:
    await asyncio.Event().wait()


async def leaves() -> None:
    pass


async def answer(ingress, *, over=False, gone=stays, to=None) -> Answer:
    """Answer one delivery; `over`: its window ends before anything else happens."""
    began = LONG_AGO if over else asyncio.get_running_loop().time()
    told: Answer = await ingress.answer(to or of_mode(ingress.mode), began=began, gone=gone)
    return told


async def open_request(ingress) -> asyncio.Task[Answer]:
    """Have a delivery wait; its client is watched from the moment it is held."""
    is_held = asyncio.Event()

    async def gone() -> None:
        is_held.set()
        await stays()

    task = asyncio.create_task(answer(ingress, gone=gone))
    await is_held.wait()
    return task


# -- active --------------------------------------------------------------------------------------


async def test_an_active_account_is_answered_at_once_and_the_user_sees_typing():
    world = World(delivery="active")

    first = await answer(world.replica())

    assert (first.kind, first.status, first.reply.text) == ("success", 200, "")
    assert isinstance(first.missed, WindowMissed)
    assert [event.id for event in world.broker.stored] == ["wx:main:m_1"]


async def test_a_repeated_delivery_is_stored_and_announced_once():
    world = World(delivery="active")
    ingress = world.replica()

    answers = [await answer(ingress) for _ in range(3)]

    assert [one.kind for one in answers] == ["success"] * 3
    assert [one.missed is not None for one in answers] == [True, False, False]
    assert len(world.broker.stored) == 1


# -- auto ----------------------------------------------------------------------------------------


async def test_a_reply_in_time_is_the_answer():
    world = World(delivery="auto")
    ingress = world.replica()
    waiting = await open_request(ingress)

    ingress.hear(offer("答"))

    assert await waiting == Answer("reply", Reply("答"), carries=True)
    assert world.claim == Claim(kind="reply", answer="答", items=("d.1",))


async def test_a_reply_that_has_left_is_noted_whichever_delivery_carried_it():
    """Until then egress lets nothing follow it: it may still be overtaken."""
    world = World(delivery="auto")
    await world.claims.create(CLAIM, Claim(kind="reply", answer="答", items=("d.1",)))
    world.broker.stored.append(inbound(msgid=MSGID))

    told = await answer(world.replica())
    await world.replica().follow_up(inbound(msgid=MSGID), told, {})

    given = world.broker.stored[-1]
    assert isinstance(given, ReplyGiven)
    assert (given.account, given.msgid, given.delivery) == (ACCOUNT, MSGID, told.delivery)


async def test_a_window_that_ends_leaves_the_reply_to_the_api():
    world = World(delivery="auto")

    told = await answer(world.replica(), over=True)

    assert (told.kind, told.reply.text) == ("later", "")
    assert told.missed == WindowMissed(
        id="missed:main:m_1",
        account="main",
        conv=inbound().conv,
        openid="oUSER",
        msgid="m_1",
    )
    assert world.claim == Claim(kind="later")


async def test_when_egress_was_first_the_request_is_answered_by_its_claim():
    """Both would deliver otherwise, or neither."""
    world = World(delivery="auto")
    ingress = world.replica()
    waiting = await open_request(ingress)
    await world.claims.create(CLAIM, Claim(kind="later"))

    ingress.hear(offer("答"))

    told = await waiting
    assert (told.kind, told.reply.text, told.missed) == ("later", "", None)


async def test_two_open_requests_say_the_same():
    """WeChat reads the newer one, and nobody knows which it is."""
    world = World(delivery="auto")
    first, second = world.replica(), world.replica()
    waiting = [await open_request(first), await open_request(second)]

    first.hear(offer("甲"))
    second.hear(offer("乙", items=("d.2",)))

    told = [(await one).reply.text for one in waiting]
    assert told == ["甲", "甲"]
    assert world.claim is not None
    assert world.claim.items == ("d.1",)


async def test_a_message_that_is_answered_with_a_later_one_gets_the_bare_success():
    world = World(delivery="auto")
    ingress = world.replica()
    waiting = await open_request(ingress)

    ingress.hear(offer("", items=()))

    told = await waiting
    assert (told.kind, told.reply.text, told.status) == ("reply", "", 200)


async def test_a_client_that_left_long_ago_is_not_given_a_reply_that_is_ready():
    """A replica that was paused wakes up to requests of yesterday; their claims would be lost."""
    world = World(delivery="passive")
    ingress = world.replica()
    ingress.hear(offer("答"))

    told = await answer(ingress, gone=leaves)

    assert told.kind == "gone"
    assert world.claim is None


async def test_a_reply_to_a_client_that_left_meanwhile_is_not_noted_as_given():
    """The claim stands, and WeChat's next delivery is answered with it."""
    has_left = asyncio.Event()

    class Slow(MemoryDocuments[Claim]):
        async def create(self, key, value):
            has_left.set()
            await asyncio.sleep(0.01)
            return await super().create(key, value)

    world = World(delivery="auto")
    world.claims = Slow()
    ingress = world.replica()
    ingress.hear(offer("答"))

    told = await answer(ingress, gone=has_left.wait)

    assert (told.kind, told.carries) == ("reply", False)
    assert world.claim is not None


async def test_a_client_that_left_is_not_answered_and_claims_nothing():
    world = World(delivery="auto")

    told = await answer(world.replica(), gone=leaves)

    assert told.kind == "gone"
    assert world.claim is None


# -- passive -------------------------------------------------------------------------------------


async def test_two_windows_end_in_silence_and_the_third_in_the_thinking_text():
    """The three deliveries may come to three replicas: the count is in the bucket."""
    world = World(delivery="passive")

    told = [await answer(world.replica(), over=True) for _ in range(3)]

    assert [one.kind for one in told] == ["silent", "silent", "thinking"]
    assert [one.delivery for one in told] == [1, 2, 3]
    assert [one.status for one in told] == [503, 503, 200]
    assert told[2].reply.text == world.config.delivery.thinking
    assert world.tries.documents[tries_key(ACCOUNT, MSGID)].value == Tries(count=2)


async def test_the_third_window_ends_with_what_there_is_of_the_answer():
    world = World(delivery="passive")
    for _ in range(2):
        await answer(world.replica(), over=True)
    third = world.replica()
    third.hear(offer("前半", now=False))

    told = await answer(third, over=True)

    assert (told.kind, told.reply.text) == ("thinking", "前半")
    assert world.claim == Claim(kind="thinking", answer="前半", items=("d.1",))


async def test_an_offer_heard_between_two_deliveries_is_the_answer_of_the_second():
    world = World(delivery="passive")
    await answer(world.replica(), over=True)
    other = world.replica()
    other.hear(offer("答"))

    told = await answer(other)

    assert (told.kind, told.reply.text, told.delivery) == ("reply", "答", 2)


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (Claim(kind="reply", answer="答"), "答"),
        (Claim(kind="reply"), ""),
        (Claim(kind="thinking", answer="想"), "想"),
        (Claim(kind="later"), ""),
    ],
)
@pytest.mark.parametrize("mode", ["passive", "auto"])
async def test_a_repeated_delivery_is_told_at_once_what_was_told_before(mode, claim, text):
    """The answer to the first may have been lost on its way."""
    world = World(delivery=mode)
    await world.broker.publish_event(inbound(msgid=MSGID))
    await world.claims.create(CLAIM, claim)

    told = await answer(world.replica())

    assert (told.kind, told.reply.text, told.status) == (claim.kind, text, 200)


async def test_a_repeated_delivery_is_told_the_picture_that_was_told_before():
    world = World(delivery="passive")
    picture = Form(kind="image", media_id="M")
    await world.broker.publish_event(inbound(msgid=MSGID))
    await world.claims.create(CLAIM, Claim(kind="reply", items=("d.1",), form=picture))

    told = await answer(world.replica())

    assert (told.reply, told.carries) == (Reply("", picture), True)


async def test_a_welcome_that_nobody_says_is_not_waited_for():
    world = World(delivery="passive")

    told = await answer(world.replica(), to=callback(Publish(inbound(msgid=MSGID))))

    assert (told.kind, told.missed) == ("success", None)
    assert len(world.broker.stored) == 1


# -- where no text can be answered ---------------------------------------------------------------


def mini(msgid=MSGID) -> Callback:
    """A message to a Mini Program: replies come by API, only a hand-over is answered."""
    return callback(Hold(inbound(msgid=msgid), "transfer", announces=True), takes_text=False)


async def test_a_hand_over_in_time_is_the_answer_of_a_mini_program():
    world = World()
    ingress = world.replica()
    transfer = Form(kind="transfer")
    ingress.hear(offer("", form=transfer))

    told = await answer(ingress, to=mini())

    assert (told.kind, told.reply, told.missed) == ("reply", Reply("", transfer), None)
    assert world.claim == Claim(kind="reply", items=("d.1",), form=transfer)


async def test_a_mini_programs_user_sees_typing_while_the_request_is_held():
    """Its reply comes by API, perhaps long before the window ends."""
    world = World()

    told = await answer(world.replica(), to=mini(), over=True)

    missed = world.broker.stored[1]
    assert isinstance(missed, WindowMissed)
    assert (told.kind, told.missed) == ("later", None)


async def test_a_full_replica_passes_a_mini_programs_message_on_without_holding_it():
    """It cannot say that it is busy, and what is not published nobody would ever answer."""
    world = World(seats=1)
    ingress = world.replica()
    waiting = await open_request(ingress)

    told = await answer(ingress, to=mini("m_2"))

    assert told.kind == "success"
    assert "wx:main:m_2" in [event.id for event in world.broker.stored]
    ingress.hear(offer())
    await waiting


def told_of_person(until_ms: int) -> Message:
    """What context writes of a user who talks to a person."""
    key = person_key(ACCOUNT, inbound().conv)
    return Message(encode(WithPerson(until_ms=until_ms)), subject=f"$KV.people.{key}")


async def test_what_a_user_says_to_a_person_is_held_although_replies_go_by_api():
    """Only the answer to its own callback can pass it on."""
    world = World()
    ingress = world.replica()
    transfer = Form(kind="transfer")
    world.people.hear(told_of_person(NOW_MS + 1))
    ingress.hear(offer("", form=transfer))
    message = Publish(inbound(msgid=MSGID), announces=True, may_hand_over=True)

    told = await answer(ingress, to=callback(message))

    assert (told.kind, told.reply) == ("reply", Reply("", transfer))
    assert [type(one) for one in world.broker.stored] == [InboundMessage]  # and nobody types


@pytest.mark.parametrize("told", [(), (told_of_person(NOW_MS - 1),)], ids=["never", "over"])
async def test_nobody_else_is_made_to_wait_for_a_person(told):
    world = World()
    for one in told:
        world.people.hear(one)
    message = Publish(inbound(msgid=MSGID), announces=True, may_hand_over=True)

    answered = await answer(world.replica(), to=callback(message))

    assert (answered.kind, world.claim) == ("success", None)
    assert answered.missed is not None


async def test_who_has_left_the_person_is_answered_at_once_again():
    world = World()
    world.people.hear(told_of_person(NOW_MS + 1))
    world.people.hear(Message(b"", subject=told_of_person(0).subject))

    told = await answer(world.replica(), to=callback(Publish(inbound(), may_hand_over=True)))

    assert told.kind == "success"


@pytest.mark.parametrize("purpose", [Publish(inbound()), Hold(inbound(), "transfer")])
async def test_a_full_stream_is_told_to_wechat_where_the_user_cannot_be_told(purpose):
    world = World()
    world.broker.fails_with = StreamFull("chat.inbound: maximum bytes exceeded")

    told = await answer(world.replica(), to=callback(purpose, takes_text=False))

    assert (told.status, told.trouble) == (503, "StreamFull")


async def test_an_announcement_of_customer_service_is_published_and_no_more():
    world = World()
    pull = PullWanted(id="pull:main:wk1:1", account=ACCOUNT, peer="wk1")

    told = await answer(world.replica(), to=callback(Publish(pull), takes_text=False))

    assert told == Answer("success")
    assert world.broker.stored == [pull]


# -- streams -------------------------------------------------------------------------------------

STREAM = callback(Stream(inbound(msgid=MSGID)))
POLL = callback(Poll(ACCOUNT, MSGID))
SHOWN = display_key(ACCOUNT, MSGID)


async def test_a_stream_begins_empty_and_shows_what_egress_writes():
    world = World()

    first = await answer(world.replica(), to=STREAM)
    shown = world.displays.documents[SHOWN]
    await world.displays.put(SHOWN, Display(text="一"), revision=shown.revision)
    second = await answer(world.replica(), to=POLL)

    assert (first.kind, first.reply) == ("stream", Reply("", is_final=False))
    assert second.reply == Reply("一", is_final=False)


async def test_a_repeated_message_goes_on_with_its_stream():
    world = World()
    await world.displays.create(SHOWN, Display(text="一"))

    assert (await answer(world.replica(), to=STREAM)).reply == Reply("一", is_final=False)


async def test_the_last_poll_closes_the_stream():
    world = World()
    await world.displays.create(SHOWN, Display(text="全部", is_final=True))

    assert (await answer(world.replica(), to=POLL)).reply == Reply("全部", is_final=True)


@pytest.mark.parametrize("msgid", ["", "m_unknown"])
async def test_a_stream_that_nobody_knows_is_closed(msgid):
    """After a restart of the broker without its disk, say: the platform would ask for 6 minutes."""
    told = await answer(World().replica(), to=callback(Poll(ACCOUNT, msgid)))

    assert told.reply == Reply("", is_final=True)


async def test_egress_can_see_whether_anybody_still_looks():
    world = World()
    ingress = world.replica()
    await answer(ingress, to=STREAM)

    noted = []
    for seconds in (1, 4, 1, 6):
        world.now_ms += seconds * 1000
        await answer(ingress, to=POLL)
        display = world.displays.documents[SHOWN].value
        assert display is not None
        noted.append(display.polled_ms - NOW_MS)

    assert noted == [0, 5000, 5000, 12000]


async def test_a_full_stream_is_told_to_a_bots_user_at_once():
    world = World()
    world.broker.fails_with = StreamFull("chat.inbound: maximum bytes exceeded")

    told = await answer(world.replica(), to=STREAM)

    assert told.reply == Reply(world.config.ingress.busy, is_final=True)


async def test_without_a_broker_a_poll_is_asked_to_come_again():
    """An empty answer would wipe out what the user reads."""

    class Away(MemoryDocuments[Display]):
        async def get(self, key):
            raise BrokerUnavailable("no answer")

    world = World()
    world.displays = Away()

    assert (await answer(world.replica(), to=POLL)).status == 503


async def test_a_welcome_is_said_even_without_a_broker():
    world = World()
    world.broker.connected = False

    assert await answer(world.replica(), to=callback(Say("你好"))) == Answer("said", Reply("你好"))


# -- trouble -------------------------------------------------------------------------------------


async def test_a_platform_event_that_concerns_nobody_is_acknowledged_even_without_a_broker():
    world = World()
    world.broker.connected = False

    assert await answer(world.replica(), to=callback(Ignore())) == Answer("ignored")


@pytest.mark.parametrize("mode", ["active", "passive", "auto"])
async def test_without_a_broker_wechat_is_asked_to_come_again(mode):
    """`success` would be a promise that nobody could keep."""
    world = World(delivery=mode)
    world.broker.connected = False

    told = await answer(world.replica())

    assert (told.kind, told.status) == ("unavailable", 503)


@pytest.mark.parametrize("error", [BrokerUnavailable("no answer"), PermanentError("refused")])
async def test_a_publish_that_fails_is_never_an_error_500(error):
    world = World(delivery="auto")
    world.broker.fails_with = error

    told = await answer(world.replica())

    assert (told.status, told.trouble) == (503, type(error).__name__)


@pytest.mark.parametrize("mode", ["active", "passive", "auto"])
async def test_a_full_stream_is_told_to_the_user(mode):
    world = World(delivery=mode)
    world.broker.fails_with = StreamFull("chat.inbound: maximum bytes exceeded")

    told = await answer(world.replica())

    assert (told.kind, told.reply.text, told.status) == ("busy", world.config.ingress.busy, 200)


async def test_a_full_replica_publishes_nothing_more():
    """What was published would be answered after the user was told to say it again."""
    world = World(delivery="auto", seats=1)
    ingress = world.replica()
    waiting = await open_request(ingress)

    told = await answer(ingress, to=of_mode("auto", inbound(msgid="m_2")))

    assert told.kind == "busy"
    assert [event.id for event in world.broker.stored] == ["wx:main:m_1"]
    ingress.hear(offer())
    assert (await waiting).kind == "reply"


async def test_one_message_cannot_take_every_seat():
    """A recorded callback may be repeated by anybody who has seen it, as often as they like."""
    world = World(seats=100)
    ingress = world.replica()
    waiting = [await open_request(ingress) for _ in range(MOST_OPEN)]

    told = await answer(ingress)

    assert (told.kind, told.trouble) == ("unavailable", "crowded")
    ingress.hear(offer())
    assert {(await one).kind for one in waiting} == {"reply"}


async def test_a_claim_that_cannot_be_made_leaves_the_answer_to_the_next_delivery():
    """Perhaps it was made: only the bucket knows what may be said."""

    class Away(MemoryDocuments[Claim]):
        async def create(self, key, value):
            await super().create(key, value)
            raise BrokerUnavailable("no acknowledgement")

    world = World(delivery="auto")
    world.claims = Away()
    ingress = world.replica()
    waiting = await open_request(ingress)
    ingress.hear(offer("答"))

    told = [await waiting, await answer(world.replica())]

    assert [one.kind for one in told] == ["unavailable", "reply"]
    assert told[1].reply.text == "答"


async def test_a_broker_that_is_silent_about_a_claim_does_not_hold_the_request(monkeypatch):
    class Silent(MemoryDocuments[Claim]):
        async def create(self, key, value):
            await asyncio.Event().wait()

    monkeypatch.setattr("queqiao_ingress.service.CLAIM_TIMEOUT", 0.0)
    world = World(delivery="auto")
    world.claims = Silent()

    assert (await answer(world.replica(), over=True)).status == 503


async def test_an_offer_that_cannot_be_read_is_passed_over():
    """A newer egress must not stop an older ingress from hearing anything at all."""
    world = World(delivery="auto")
    ingress = world.replica()
    waiting = await open_request(ingress)

    ingress.hear(Message(b"{}"))
    ingress.hear(offer("答"))

    assert (await waiting).reply.text == "答"


async def test_an_announcement_that_is_lost_harms_nobody():
    world = World(delivery="active")
    ingress = world.replica()
    told = await answer(ingress)
    assert told.missed is not None
    world.broker.fails_with = BrokerUnavailable("no answer")

    await ingress.follow_up(inbound(msgid=MSGID), told, {})


async def test_the_broker_answers_a_repeat_like_jetstream():
    broker = FakeBroker()

    acks = [await broker.publish_event(inbound()) for _ in range(2)]

    assert acks == [PubAck(seq=1), PubAck(seq=1, duplicate=True)]
