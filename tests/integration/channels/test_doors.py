"""Coming in, going to a person and coming back, and answers that hardly fit: by kind of account."""

import pytest
from queqiao_common.testing import eventually

pytestmark = pytest.mark.broker

PIECE = "喜鹊"


async def until(system, account, user, is_there, within=60.0):
    async def there():
        entries = await system.transcript(account, user)
        found = [one for one in entries if one["who"] == "account"]
        return found if is_there([one["text"] for one in found]) else None

    return await eventually(there, within=within)


async def agent(system, account, user, act, **fields):
    body = {"account": account, "user": user, "act": act, **fields}
    return await system.control("POST", "/agents", json=body)


@pytest.mark.parametrize(
    ("account", "event"), [("kf", "enter_session"), ("mp", "user_enter_tempsession")]
)
async def test_who_comes_in_is_welcomed(channels, account, event):
    await channels.happen(account, f"e-{account}", event)

    [welcome] = await until(channels, account, f"e-{account}", lambda texts: len(texts) >= 1)

    assert "欢迎" in welcome["text"]


@pytest.mark.parametrize("account", ["kf", "mp", "svc"])
async def test_nine_thousand_bytes_reach_a_user_in_five_messages(channels, account):
    await channels.say(account, "l1", "请详细说明[bytes=9000]")

    found = await until(
        channels, account, "l1", lambda texts: sum(len(one.encode()) for one in texts) >= 8900
    )

    assert len(found) <= 5
    assert all(len(one["text"].encode()) <= 2048 for one in found)


async def test_a_bot_says_by_its_response_address_what_its_stream_cannot_hold(channels):
    await channels.say("bot", "l2", "请详细说明[bytes=26000]")

    found = await until(
        channels, "bot", "l2", lambda texts: sum(len(one.encode()) for one in texts) >= 26_000
    )

    assert [one["via"] for one in found] == ["stream", "webhook"]
    assert all(len(one["text"].encode()) <= 20_480 for one in found)


async def test_what_would_end_a_section_of_xml_reaches_every_user(channels):
    for account in ("app", "kf", "mp"):
        await channels.say(account, "x1", "代码[cdata]")

        await until(channels, account, "x1", lambda texts: any("]]" in one for one in texts))


async def test_a_customer_is_handed_to_a_person_and_comes_back(channels):
    await channels.say("kf", "h1", "你好")
    await until(channels, "kf", "h1", lambda texts: len(texts) == 1)
    await channels.say("kf", "h1", "转人工")
    await until(channels, "kf", "h1", lambda texts: any("转接" in one for one in texts))

    async def is_moved():
        path = "/cgi-bin/kf/service_state/trans"
        return await channels.control("GET", "/calls", params={"account": "kf", "path": path})

    await eventually(is_moved, within=60)
    await agent(channels, "kf", "h1", "take")
    await agent(channels, "kf", "h1", "say", text="我是小张")
    await agent(channels, "kf", "h1", "close")
    await channels.say("kf", "h1", "机器人在吗")

    await until(channels, "kf", "h1", lambda texts: any("机器人在吗" in one for one in texts))


@pytest.mark.parametrize("account", ["auto", "mp", "svc"])
async def test_a_callback_hands_its_user_to_a_person_and_the_bot_is_silent_then(channels, account):
    """Nobody has taken the user over yet: every message is passed on, whatever way replies go."""
    user = f"h-{account}"

    async def transfers():
        entries = await channels.transcript(account, user)
        return [one for one in entries if one["kind"] == "transfer_customer_service"]

    await channels.say(account, user, "转人工")
    await eventually(transfers, within=60)
    await channels.say(account, user, "我的订单呢")

    async def is_passed_on():
        return len(await transfers()) == 2

    await eventually(is_passed_on, within=60)
    assert not any("我的订单呢" in text for text in await channels.replies(account, user))
    await channels.say(account, user, "返回机器人")
    await until(channels, account, user, lambda texts: any("已结束" in one for one in texts))
    await channels.say(account, user, "机器人在吗")
    await until(channels, account, user, lambda texts: any("机器人在吗" in one for one in texts))
    assert len(await transfers()) == 2
