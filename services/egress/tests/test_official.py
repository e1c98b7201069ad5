"""An official account: the real client and the real marker logic, on the simulated platform."""

import time
from collections import Counter

import httpx
import pytest
from queqiao_common.errors import TransientError
from queqiao_common.settings import Account, Config, Secret
from queqiao_common.testing import ACCOUNT, MemoryDocuments, delivery, waiting
from queqiao_egress.channels.building import Builder, open_http
from queqiao_simulator.app import create_app
from queqiao_simulator.server import serving
from queqiao_simulator.settings import AccountSettings, Settings
from queqiao_wechat.errcodes import ERRCODES, Action

SEND = "/cgi-bin/message/custom/send"
TOKEN = "/cgi-bin/stable_token"


class Platform:
    """A running simulator, and an active account of ours on it."""

    def __init__(self, url, world):
        self.url = url
        self.control = httpx.AsyncClient(base_url=f"{url}/control")
        self.world = world
        self.asked = ()

    async def start(self, http):
        account = Account(
            id=ACCOUNT,
            appid="wx1",
            token=Secret("bridge_token"),
            secret=Secret("s"),
            delivery="active",
            api_base=self.url,
        )
        self.world.now_ms = now_ms()
        self.tokens = MemoryDocuments()
        builder = Builder(
            Config(accounts=(account,)), http, tokens=self.tokens, owner="one", now_ms=now_ms
        )
        self.channel = builder.channels((account,))[ACCOUNT]
        self.world.make_channel = lambda _: self.channel

    async def say(self):
        self.asked = (waiting(received_ms=now_ms()),)
        body = {"account": ACCOUNT, "user": "小鹊", "text": "你好"}
        return (await self.control.post("/messages", json=body)).json()["openid"]

    async def faults(self, **rule):
        response = await self.control.put("/faults", json=[{"count": 1, **rule}])
        assert response.status_code == 200

    async def shown(self):
        query = {"account": ACCOUNT, "user": "小鹊"}
        entries = (await self.control.get("/transcript", params=query)).json()
        return [(one["text"], one["ai"]) for one in entries if one["who"] == "account"]

    async def calls(self):
        found = (await self.control.get("/calls")).json()
        return Counter(call["path"] for call in found)

    async def deliver(self, openid, text="你好", **fields):
        attempt = fields.pop("attempt", 1)
        process = fields.pop("process", None) or self.world.another("one")
        sent = delivery(text, openid=openid, waiting=self.asked, **fields)
        return await self.world.deliver(sent, attempt=attempt, process=process)


def now_ms():
    return time.time_ns() // 1_000_000


@pytest.fixture
async def platform(world):
    settings = Settings(
        accounts=(AccountSettings(id=ACCOUNT, appid="wx1", secret="s", token="bridge_token"),)
    )
    async with serving(create_app(settings)) as url, open_http() as http:
        found = Platform(url, world(mode="active"))
        await found.start(http)
        yield found
        await found.control.aclose()


async def test_a_reply_is_shown_with_its_mark_and_one_token_serves_all(platform):
    openid = await platform.say()

    await platform.deliver(openid, "第一", ai=True)
    await platform.deliver(openid, "第二", id="t.2", turn_id="t")
    await platform.channel.typing(openid)

    assert await platform.shown() == [("第一", True), ("第二", False)]
    assert (await platform.calls())[TOKEN] == 1


async def test_a_revoked_token_is_renewed_once_and_the_message_shown_once(platform):
    openid = await platform.say()
    await platform.deliver(openid, "第一")
    await platform.faults(kind="revoke_token", path=SEND)

    result = await platform.deliver(openid, "第二", id="t.2", turn_id="t")

    assert result.status == "delivered"
    assert [text for text, _ in await platform.shown()] == ["第一", "第二"]
    assert (await platform.calls())[TOKEN] == 2


ONCE = "桥" * 400 + "\n\n" + "鹊" * 200
"""Fits one message; two thirds of its bytes fit what a message is shortened to."""
RETRIED = {Action.RETRY, Action.WAIT_MINUTE}
PARKED = {Action.WAIT_DAY}
SAID_BY_OPERATORS = {Action.CONFIG, Action.BUG, Action.WAIT_DAY}
SPENT = 45047


async def tried(platform, openid, **fields):
    """Return what a delivery came to, or why it has to be tried again."""
    try:
        return await platform.deliver(openid, ONCE, **fields)
    except TransientError as error:
        return error


@pytest.mark.parametrize(
    "code", sorted(ERRCODES.values(), key=lambda one: one.code), ids=lambda one: str(one.code)
)
async def test_every_number_of_wechats_is_taken_for_what_it_is(platform, code, caplog):
    """What the user gets, whether WeChat is asked again, and whether an operator is told."""
    openid = await platform.say()
    process = platform.world.another("one")
    await platform.faults(kind="errcode", errcode=code.code, path=SEND)

    result = await tried(platform, openid, process=process)
    if was_postponed := isinstance(result, TransientError):
        assert result.after
        platform.world.now_ms += int(result.after * 1000)
        result = await tried(platform, openid, process=process, attempt=2)

    shown = "".join(text for text, _ in await platform.shown())
    calls = (await platform.calls())[SEND]
    assert was_postponed == (code.action in RETRIED)
    match code.action:
        case Action.RETRY | Action.WAIT_MINUTE | Action.REFRESH_TOKEN:
            assert (result.status, shown, calls) == ("delivered", ONCE, 2)
        case Action.SHORTEN:
            assert result.status == "delivered"
            assert (shown, calls) == (ONCE.replace("\n\n", ""), 3)
        case Action.OK | Action.IGNORE:
            assert (result.status, calls) == ("delivered", 1)
        case Action.DROP | Action.CONFIG | Action.BUG | Action.WAIT_DAY:
            is_kept = code.action in PARKED or code.code == SPENT
            assert result.status == ("parked" if is_kept else "failed")
            assert (shown, calls) == ("", 1)
    renewals = (await platform.calls())[TOKEN] - 1
    assert (renewals > 0) == (code.action is Action.REFRESH_TOKEN)
    assert ("wechat.refused" in caplog.messages) == (code.action in SAID_BY_OPERATORS)


@pytest.mark.parametrize(
    ("fault", "copies"),
    [
        ({"kind": "errcode", "errcode": -1}, 1),
        ({"kind": "disconnect_after"}, 2),
        ({"kind": "disconnect_before"}, 1),
        ({"kind": "http", "status": 502}, 1),
    ],
)
async def test_only_a_lost_answer_can_show_a_message_twice(platform, fault, copies):
    openid = await platform.say()
    process = platform.world.another("one")
    await platform.faults(path=SEND, **fault)
    with pytest.raises(TransientError):
        await platform.deliver(openid, process=process)

    result = await platform.deliver(openid, process=process, attempt=2)

    assert result.status == "delivered"
    assert len(await platform.shown()) == copies


async def test_the_ledger_agrees_with_the_platform_to_the_last_message(platform):
    openid = await platform.say()
    text = "\n\n".join("桥" * 600 for _ in range(9))

    result = await platform.deliver(openid, text)

    again = await platform.deliver(openid, "再", id="t.2", turn_id="t")

    assert (result.status, result.parts) == ("delivered", 5)
    assert (again.status, again.errcode) == ("parked", 0)
    assert (await platform.calls())[SEND] == len(await platform.shown()) == 5


async def test_no_token_or_secret_is_logged(platform, caplog):
    caplog.set_level("DEBUG")
    openid = await platform.say()
    await platform.faults(kind="errcode", errcode=40164, path=SEND)
    await platform.deliver(openid)

    token = (await platform.tokens.get(ACCOUNT)).value.access_token
    assert token
    assert token not in caplog.text
