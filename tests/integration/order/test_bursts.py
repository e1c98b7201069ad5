"""No question is swallowed, doubled, out of order or answered to somebody else."""

import asyncio

from queqiao_testbed.judging import settled
from queqiao_testbed.ledger import mark


async def ask_in_bursts(system, account, *, users, messages, burst, prefix):
    """Each user writes `messages` questions, `burst` at a time without waiting."""
    asked = {f"{prefix}{n}": [] for n in range(users)}

    async def live(user):
        for number in range(messages):
            one = mark(user, number)
            asked[user].append(one)
            await system.say(account, user, f"{one} 在吗")
            if number % burst == burst - 1:
                await asyncio.sleep(0.5)

    await asyncio.gather(*(live(user) for user in asked))
    return asked


async def test_fifty_users_in_bursts_of_three_are_each_answered_once_in_order(system):
    asked = await ask_in_bursts(system, "auto", users=50, messages=6, burst=3, prefix="b")

    result = await settled(system, "auto", asked)

    assert result.clean, str(result)
    assert result.apologies == 0
    assert result.errors == 0


async def test_a_passive_only_account_answers_bursts_too(system):
    asked = await ask_in_bursts(system, "sub", users=10, messages=1, burst=1, prefix="p")

    result = await settled(system, "sub", asked)

    assert result.clean, str(result)
