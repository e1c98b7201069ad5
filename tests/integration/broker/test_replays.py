"""What an operator runs again is answered once, and silences nobody."""

import argparse

import pytest
from queqiao_cli import dead
from queqiao_common.testing import eventually
from queqiao_testbed.system import running

pytestmark = pytest.mark.broker

APOLOGY = "没能答上来"


async def buried(bus, count):
    found = [one async for one in dead.letters(bus)]
    return found if len(found) == count else None


async def test_a_message_replayed_at_once_is_answered_once_and_so_is_what_follows(
    own_broker, bus, tmp_path, answered, variant, kept_alive
):
    """The verdict on the replay was taken for a repeat of the burial's: the user heard no more."""
    accounts = ("active", "auto")
    async with running(tmp_path, broker_url=own_broker.url) as system:
        system.replica("moderation").stop()
        deadly = variant(system, own_broker.url, "moderation", "deadly.py")
        async with kept_alive(deadly):
            for account in accounts:
                await system.say(account, "r1", "致命的一句")
                await answered(system, account, "r1", APOLOGY, within=150)
            found = await eventually(lambda: buried(bus, len(accounts)))
        system.replica("moderation").start()
        numbers = [one.number for one in found]
        options = argparse.Namespace(config=system.folder / "queqiao.toml", all=False, ids=numbers)

        assert await dead.replay(options) == 0
        for account in accounts:
            await answered(system, account, "r1", "致命的一句")
        assert await dead.replay(options) == 1  # the letters are gone
        repeated = [  # as if the first replay had ended before it erased them
            await bus.publish(
                one.letter.subject,
                one.letter.body,
                event_id=dead.next_id(one.letter.headers["Nats-Msg-Id"]),
            )
            for one in found
        ]
        for account in accounts:
            await system.say(account, "r1", "还在吗")
            await answered(system, account, "r1", "还在吗")
        replies = {account: await system.replies(account, "r1") for account in accounts}

    assert [one.duplicate for one in repeated] == [True, True]
    for texts in replies.values():
        assert len(texts) == 3
        assert len([one for one in texts if "致命的一句" in one]) == 1
