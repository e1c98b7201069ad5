"""Pulling what customers say, with WeCom, the broker and the clock faked."""

from functools import partial

import pytest
from msgspec import structs
from queqiao_common.errors import PermanentError, TransientError
from queqiao_common.events import PullWanted
from queqiao_common.testing import ACCOUNT, NOW_MS, MemoryDocuments, received
from queqiao_egress.cursors import LEASE_MS, MARGIN_MS
from queqiao_egress.pulling import EVERY_MS, Pulls
from queqiao_wechat.client import ApiError, UnreachableError
from queqiao_wechat.errcodes import WECOM, lookup
from queqiao_wechat.kf_client import page_of

PEER = "wk1"


class Killed(BaseException):
    """The process is gone, at once."""


class FakeKf:
    """A log of messages, read page by page; `answers` are raised, one a call, before that."""

    def __init__(self):
        self.items = []
        self.asked = []
        self.answers = []
        self.size = 10
        self.empty_first = False

    def say(self, text, *, at_ms=NOW_MS, msgid=None):
        number = len(self.items) + 1
        self.items.append(
            {"msgid": msgid or f"m{number}", "open_kfid": PEER, "external_userid": "wm1",
             "send_time": at_ms // 1000, "origin": 3, "msgtype": "text", "text": {"content": text}}
        )  # fmt: skip

    def fail(self, fail_type):
        self.items.append(
            {"msgid": f"f{len(self.items)}", "msgtype": "event", "origin": 4,
             "event": {"event_type": "msg_send_fail", "open_kfid": PEER, "external_userid": "wm1",
                       "fail_type": fail_type, "fail_msgid": "k"}}
        )  # fmt: skip

    async def sync(self, open_kfid, *, cursor, token):
        self.asked.append((open_kfid, cursor, token))
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer
        if self.empty_first and not cursor:
            return page_of({"next_cursor": "0", "has_more": 1, "msg_list": []})
        start = int(cursor or 0)
        end = min(start + self.size, len(self.items))
        return page_of(
            {"next_cursor": str(end), "has_more": int(end < len(self.items)),
             "msg_list": self.items[start:end]}
        )  # fmt: skip


class World:
    def __init__(self):
        self.kf = FakeKf()
        self.cursors = MemoryDocuments()
        self.peers = MemoryDocuments()
        self.published = []
        self.now_ms = NOW_MS
        self.announcements = 0
        self.dies_after = None
        self.at_page = None

    def process(self, owner="one"):
        return Pulls(
            {ACCOUNT: self.kf},
            peppers={ACCOUNT: "salt"},
            cursors=self.cursors,
            peers=self.peers,
            publish=self.publish,
            owner=owner,
            now_ms=lambda: self.now_ms,
            sleep=self.sleep,
        )

    async def sleep(self, seconds):
        self.now_ms += int(seconds * 1000)

    async def publish(self, event):
        if event not in self.published:  # as the stream does, by the event's id
            self.published.append(event)
        if self.dies_after is not None and len(self.published) >= self.dies_after:
            self.dies_after = None
            raise Killed

    async def announce(self, process=None, *, token="", at_ms=None):
        self.announcements += 1
        wanted = PullWanted(
            id=f"pull:{self.announcements}",
            account=ACCOUNT,
            peer=PEER,
            token=token,
            received_ms=at_ms or self.now_ms,
        )
        async for _ in (process or self.process()).pull(received(wanted)):
            raise AssertionError("a pull yields nothing")

    async def hold(self, owner, *, until_ms):
        change = partial(structs.replace, holder=owner, lease_until_ms=until_ms)
        await self.cursors.update(f"{ACCOUNT}.{PEER}", lambda old: (change(old), None))

    @property
    def texts(self):
        return [event.text for event in self.published]

    async def cursor(self):
        return (await self.cursors.get(f"{ACCOUNT}.{PEER}")).value


@pytest.fixture
def world():
    return World()


async def test_a_burst_is_pulled_page_by_page_in_its_order(world):
    for number in range(30):
        world.kf.say(f"第{number}句")

    await world.announce()

    assert world.texts == [f"第{number}句" for number in range(30)]
    assert [cursor for _, cursor, _ in world.kf.asked] == ["", "10", "20"]
    assert (await world.cursor()).cursor == "30"
    assert (await world.cursor()).holder == ""


async def test_an_empty_page_that_promises_more_is_not_the_end(world):
    world.kf.say("你好")
    world.kf.empty_first = True

    await world.announce()

    assert world.texts == ["你好"]


async def test_a_death_in_the_middle_of_a_burst_repeats_a_page_and_loses_nothing(world):
    for number in range(30):
        world.kf.say(f"第{number}句")
    world.dies_after = 15

    with pytest.raises(Killed):
        await world.announce()
    await world.hold("one", until_ms=world.now_ms + LEASE_MS)  # the dead give nothing back
    before = world.now_ms
    await world.announce(world.process("two"))

    assert world.texts == [f"第{number}句" for number in range(30)]
    assert world.now_ms - before >= LEASE_MS  # the dead one's lease had to end first


async def test_messages_from_before_the_first_announcement_are_not_answered(world):
    world.kf.say("前天的问题", at_ms=NOW_MS - 2 * 86_400_000)
    world.kf.say("刚才的问题", at_ms=NOW_MS - MARGIN_MS + 1000)

    await world.announce(at_ms=NOW_MS)

    assert world.texts == ["刚才的问题"]
    assert (await world.cursor()).cursor == "2"


async def test_what_is_listed_twice_is_heard_once(world):
    world.kf.say("你好", msgid="m1")
    await world.announce()
    world.kf.say("你好", msgid="m1")
    world.kf.say("再见", msgid="m2")
    await world.announce()

    assert world.texts == ["你好", "再见"]


async def test_while_another_pulls_its_work_is_waited_for(world):
    """Its callback is acknowledged only once its messages are safe."""
    world.kf.say("你好")
    first = world.process("one")
    await world.announce(first)
    world.kf.say("在吗")
    await world.hold("one", until_ms=world.now_ms + 2000)

    await world.announce(world.process("two"))

    assert world.texts == ["你好", "在吗"]
    assert world.now_ms >= NOW_MS + 2000


async def test_an_old_token_is_left_out(world):
    world.kf.say("你好")
    world.kf.answers = [ApiError(95007, "old", lookup(95007, WECOM).action)]

    await world.announce(token="old")

    assert world.texts == ["你好"]
    assert [token for _, _, token in world.kf.asked] == ["old", ""]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UnreachableError("down"), TransientError),
        (ApiError(-1, "busy", lookup(-1, WECOM).action), TransientError),
        (ApiError(45009, "often", lookup(45009, WECOM).action), TransientError),
        (ApiError(95017, "off", lookup(95017, WECOM).action), PermanentError),
    ],
)
async def test_a_failed_pull_gives_the_lease_back_and_is_tried_again_where_it_may_help(
    world, error, kind
):
    world.kf.answers = [error]

    with pytest.raises(kind):
        await world.announce()

    assert (await world.cursor()).holder == ""


async def test_a_missed_callback_is_made_good_within_a_minute_or_so(world):
    await world.announce()
    world.kf.say("没有回调的消息", at_ms=world.now_ms)
    process = world.process()

    await process.catch_up()
    assert world.texts == []  # pulled a moment ago: WeCom allows few calls without a token
    world.now_ms += EVERY_MS
    await process.catch_up()

    assert world.texts == ["没有回调的消息"]


async def test_a_message_that_failed_later_is_told_to_operators(world, caplog):
    world.kf.fail(6)

    await world.announce()

    assert world.published == []
    [line] = [one for one in caplog.records if one.msg == "delivery.failed_later"]
    assert line.detail == "more than five messages since the customer's last one"


async def test_a_chore_that_fails_for_one_account_goes_on_with_the_next(world):
    await world.announce()
    world.now_ms += EVERY_MS
    world.kf.answers = [UnreachableError("down")]
    world.kf.say("还在吗", at_ms=world.now_ms)

    await world.process().catch_up()
    assert world.texts == []
    await world.process().catch_up()

    assert world.texts == ["还在吗"]
