"""A callback that got `success` is answered, by the path that its account allows."""

from functools import partial

from queqiao_common.testing import eventually


async def replies(system, account, user, count=1, within=60.0):
    async def there():
        found = await system.replies(account, user)
        return found if len(found) >= count else None

    return await eventually(there, within=within)


async def entry(system, account, user, within=60.0):
    async def there():
        entries = await system.transcript(account, user)
        return next((one for one in entries if one["who"] == "account"), None)

    return await eventually(there, within=within)


async def outcomes(system, account, user, count=1):
    """How the deliveries of a user's first message ended, once so many have."""
    [first, *_] = await system.control("GET", "/pushes", params={"account": account, "user": user})
    found = [one["outcome"] for one in first["deliveries"] if one["outcome"]]
    return found if len(found) >= count else []


def first_try_or_another(user):
    """That a busy machine lets 4.5 s of a callback pass proves nothing; thrice, it does."""
    return (f"{user}-{number}" for number in range(3))


async def test_an_answer_that_is_ready_leaves_in_the_callback(system):
    """Free of quota, and one round trip fewer."""
    ways = []
    for user in first_try_or_another("d1"):
        await system.say("auto", user, "你好")
        reply = await entry(system, "auto", user)
        assert "你好" in reply["text"]
        ways.append(reply["via"])
        if ways[-1] == "passive":
            break

    assert ways[-1] == "passive"


async def test_a_late_answer_leaves_by_the_api_with_the_ai_mark(system):
    await system.say("auto", "d2", "慢慢想[delay=6]")

    reply = await entry(system, "auto", "d2")

    assert (reply["via"], reply["ai"]) == ("api", True)


async def test_an_active_account_is_answered_by_the_api_alone(system):
    await system.say("active", "d3", "你好")

    assert (await entry(system, "active", "d3"))["via"] == "api"


async def test_a_passive_reply_carries_a_text_label(system):
    """The API's own mark is not to be had there."""
    await system.say("sub", "d4", "你好")

    assert (await entry(system, "sub", "d4"))["text"].endswith("（AI 生成）")


async def test_a_passive_only_account_uses_the_second_delivery(system):
    await system.say("sub", "d5", "想七秒[delay=7]")

    reply = await entry(system, "sub", "d5")

    assert "想七秒" in reply["text"]
    [*earlier, last] = await outcomes(system, "sub", "d5")
    assert "timeout" in earlier
    assert last == "reply"


async def test_a_passive_only_account_parks_what_comes_too_late(system):
    """The user is told, and the next message fetches it."""
    for user in first_try_or_another("d6"):
        await system.say("sub", user, "想很久[delay=17]")
        await eventually(partial(outcomes, system, "sub", user, 3))
        if (await outcomes(system, "sub", user))[2] != "timeout":
            break
    [thinking] = await replies(system, "sub", user)
    assert "还在想" in thinking

    await system.say("sub", user, "1")
    found = await replies(system, "sub", user, 2)

    assert "想很久" in found[1]


async def test_a_second_question_on_a_passive_only_account_is_answered_too(system):
    """Measured in four peers: swallowed."""
    await system.say("sub", "d7", "第一问[delay=3]")
    await system.say("sub", "d7", "第二问")

    async def both():
        text = "".join(await system.replies("sub", "d7"))
        return "第一问" in text and "第二问" in text

    await eventually(both, within=60.0)


async def test_a_long_answer_by_the_api_fits_messages_and_quota(system):
    await system.say("active", "d8", "长[bytes=9000]")

    async def whole():
        found = await system.replies("active", "d8")
        return found if sum(len(one.encode()) for one in found) > 8500 else None

    found = await eventually(whole, within=60.0)

    assert len(found) <= 5
    assert all(len(text.encode()) <= 2048 for text in found)


async def test_a_passive_only_account_gives_a_long_answer_part_by_part(system):
    """Each message of the user's fetches the next part; what fetches is no question."""
    await system.say("sub", "d13", "长[bytes=9000]")
    parts = await replies(system, "sub", "d13", 1)
    while sum(len(one.encode()) for one in parts) < 8900:
        await system.say("sub", "d13", "继续")
        parts = await replies(system, "sub", "d13", len(parts) + 1)

    assert all(one.endswith("回复「1」继续）") for one in parts[:-1])
    assert all(len(one.encode()) <= 2048 for one in parts)
    asked = (await system.model("GET", "/control/calls"))["requests"]
    assert not any(one["messages"][-1]["content"] == "继续" for one in asked)


async def test_an_answer_with_a_cdata_end_is_shown(system):
    """Every peer sends malformed XML here."""
    await system.say("auto", "d9", "代码[cdata]")

    assert "]]" in (await entry(system, "auto", "d9"))["text"]


async def test_a_new_follower_is_welcomed(system):
    await system.happen("auto", "d10", "subscribe")

    assert "欢迎" in (await entry(system, "auto", "d10"))["text"]


async def test_a_message_type_not_served_yet_is_said_kindly(system):
    await system.say("auto", "d11", "", kind="video")

    assert "看不懂" in (await entry(system, "auto", "d11"))["text"]


async def test_the_url_verification_passes_and_refuses_a_forgery(system):
    for account in ("auto", "active", "sub"):
        results = await system.control("POST", "/verify", json={"account": account})
        assert all(result["ok"] for result in results), results


async def test_a_repeated_callback_is_one_question(system):
    """Duplicates are dropped by the broker's message id."""
    await system.control(
        "PUT", "/faults", json=[{"kind": "duplicate", "account": "auto", "count": 1}]
    )
    await system.say("auto", "d12", "只问一次")
    await entry(system, "auto", "d12")

    await system.say("auto", "d12", "再问一句")
    found = await replies(system, "auto", "d12", 2)

    assert sum("只问一次" in text for text in found) == 1
