"""What a provider allows holds for all replicas together, and so does what a user may ask."""

import asyncio

from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running


async def told(system, user, text):
    async def there():
        return any(text in one for one in await system.replies("active", user))

    return await eventually(there, within=60.0, every=0.2)


async def test_two_replicas_never_ask_for_more_answers_at_once_than_the_model_allows(
    own_broker, tmp_path
):
    """A provider counts by key: each replica for itself would ask for twice as many."""
    options = Options(
        counts={"llm": 2}, model={"concurrency": 2}, settings={"cache": {"enabled": False}}
    )
    async with running(tmp_path, broker_url=own_broker.url, options=options) as system:
        await system.model("PUT", "/control", json={"latency": 0.3})
        users = [f"user-{number}" for number in range(12)]

        await asyncio.gather(*(system.say("active", one, f"{one}的问题") for one in users))

        await asyncio.gather(*(told(system, one, f"{one}的问题") for one in users))
        calls = await system.model("GET", "/control/calls")
        # Who cannot ask the others within a second goes on alone, and says so.
        assert calls["peak"] <= 2 + system.logs().count("loads.unavailable")
        assert calls["total"] == len(users)


async def test_a_user_who_has_had_all_for_today_is_told_so_and_others_are_answered(
    own_broker, tmp_path
):
    options = Options(
        settings={
            "budgets": {"enabled": True, "questions": 2, "user_text": "今天先到这里"},
            "cache": {"enabled": False},
        }
    )
    async with running(tmp_path, broker_url=own_broker.url, options=options) as system:
        for text in ("第一问", "第二问"):
            await system.say("active", "keen", text)
            await told(system, "keen", text)

        await system.say("active", "keen", "第三问")
        await told(system, "keen", "今天先到这里")

        await system.say("active", "other", "别人的问题")
        await told(system, "other", "别人的问题")
        assert (await system.model("GET", "/control/calls"))["total"] == 3
