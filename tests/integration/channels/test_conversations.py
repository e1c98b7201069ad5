"""A conversation on each kind of account, through the whole system: what its user reads."""

import asyncio

import pytest
from queqiao_common.failpoints import EXIT_CODE
from queqiao_common.testing import eventually

pytestmark = pytest.mark.broker


async def replies(system, account, user, count=1, within=25.0):
    async def there():
        found = await system.replies(account, user)
        return found if len(found) >= count else None

    return await eventually(there, within=within)


async def calls(system, account, path):
    return await system.control("GET", "/calls", params={"account": account, "path": path})


# -- WeCom -------------------------------------------------------------------------------------


async def test_a_member_is_answered_in_time_and_late(channels):
    await channels.say("app", "w1", "你好")
    first = await replies(channels, "app", "w1")
    await channels.say("app", "w1", "慢慢想[delay=6]")

    both = await replies(channels, "app", "w1", 2)

    assert "你好" in first[0]
    assert "慢慢想" in both[1]
    assert len(await calls(channels, "app", "/cgi-bin/message/send")) >= 1


async def test_a_long_answer_reaches_a_member_whole(channels):
    """WeCom would cut what is above 2,048 bytes without a word."""
    await channels.say("app", "w2", "请详细说明[bytes=9000]")

    async def whole():
        return sum(len(one.encode()) for one in await channels.replies("app", "w2")) >= 9000

    await eventually(whole, within=60)
    assert all(len(one.encode()) <= 2048 for one in await channels.replies("app", "w2"))


# -- Mini Program ------------------------------------------------------------------------------


async def test_a_mini_program_is_answered_by_the_api_with_the_mark(channels):
    await channels.say("mp", "p1", "你好")

    await replies(channels, "mp", "p1")
    entries = await channels.transcript("mp", "p1")
    [reply] = [one for one in entries if one["who"] == "account"]

    assert "你好" in reply["text"]
    assert (reply["via"], reply["ai"]) == ("api", True)


# -- WeChat Customer Service -------------------------------------------------------------------


async def test_a_customer_is_answered_once(channels):
    await channels.say("kf", "k1", "你好")

    assert "你好" in (await replies(channels, "kf", "k1"))[0]


async def test_a_burst_of_customers_survives_the_death_of_who_pulls(channels):
    """Thirty at once; one of the two that pull dies before it has acknowledged, one is killed."""
    users = [f"kb{number}" for number in range(30)]
    doomed, other = (channels.replica("egress", number) for number in (0, 1))
    await asyncio.to_thread(doomed.stop)
    doomed.start(QUEQIAO_FAILPOINT="egress-pulls.before_ack:2")
    await channels.ready()

    await asyncio.gather(*(channels.say("kf", user, f"{user}的问题") for user in users[:20]))
    await eventually(lambda: doomed.exit_code == EXIT_CODE, within=60)
    doomed.start()
    await asyncio.gather(*(channels.say("kf", user, f"{user}的问题") for user in users[20:]))
    await asyncio.to_thread(other.kill)
    other.start()

    for user in users:
        assert f"{user}的问题" in (await replies(channels, "kf", user, within=60))[0]
    seen = [await channels.replies("kf", user) for user in users]
    assert [len(texts) for texts in seen] == [1] * len(users)


# -- AI bot ------------------------------------------------------------------------------------


async def test_a_bot_streams_its_answer(channels):
    await channels.say("bot", "b1", "你好")

    async def read():
        found = await channels.replies("bot", "b1")
        return found[-1] if found and "你好" in found[-1] else None

    assert await eventually(read, within=25)


# -- pictures and voice ------------------------------------------------------------------------


@pytest.mark.parametrize("account", ["svc", "app", "kf", "mp", "bot"])
async def test_a_picture_and_then_a_question_are_one_question(channels, account):
    """Whatever the way on which the picture came: by address, by id, or encrypted."""
    user, question = f"i-{account}", f"{account}的图里是什么"
    await channels.say(account, user, "", kind="image")
    await channels.say(account, user, question)

    async def answered():
        found = await channels.replies(account, user)
        return any(question in text for text in found)

    await eventually(answered, within=60)
    asked = [
        call["messages"][-1]["content"]
        for call in (await channels.model("GET", "/control/calls"))["requests"]
    ]
    [parts] = [one for one in asked if isinstance(one, list) and question in str(one)]
    pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    assert len(pictures) == 1
    assert pictures[0].startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize("account", ["svc", "app", "kf"])
async def test_a_voice_is_fetched_and_its_sender_is_told_what_becomes_of_it(channels, account):
    await channels.say(account, f"v-{account}", "", kind="voice")

    async def told():
        found = await channels.replies(account, f"v-{account}")
        return any("听不了语音" in text for text in found)

    await eventually(told, within=60)
