"""Any replica may be killed: nothing acknowledged is lost, nothing doubled.

(Planned restarts: `test_stops.py`.)
"""

import asyncio
import os

import pytest
from queqiao_common.topology import SERVICES
from queqiao_testbed.configuration import Options
from queqiao_testbed.judging import settled
from queqiao_testbed.ledger import mark
from queqiao_testbed.system import running

SECONDS = float(os.environ.get("QUEQIAO_KILL_SECONDS", "15"))  # noqa: TID251 - length of the run
RATE = 20.0


async def keep_asking(system, account, *, seconds, rate):
    """Users ask at a steady rate; returns what each of them asked."""
    asked = {}
    for number in range(int(seconds * rate)):
        user = f"k{number % 40}"
        one = mark(user, number)
        asked.setdefault(user, []).append(one)
        await system.say(account, user, f"{one} 在吗")
        await asyncio.sleep(1 / rate)
    return asked


@pytest.mark.slow
async def test_killed_replicas_lose_and_double_nothing(own_broker, tmp_path):
    """`kill -9` of one of two replicas of each service in turn, under 20 messages a second.

    (At every line where that may hurt: `tests/integration/crashes`.)
    """
    options = Options(settings={"moderation": {"messages_per_minute": 0}})
    async with running(tmp_path, broker_url=own_broker.url, replicas=2, options=options) as system:
        asking = {
            account: asyncio.create_task(
                keep_asking(system, account, seconds=SECONDS, rate=RATE / 2)
            )
            for account in ("auto", "active")
        }
        kills = 0
        while not all(task.done() for task in asking.values()):
            for service in SERVICES:
                victim = system.replica(service, kills % 2)
                await asyncio.to_thread(victim.kill)
                victim.start()
                await system.ready()
            kills += 1
        for account, task in asking.items():
            result = await settled(system, account, await task)

            assert not result.lost, str(result)
            assert not result.swapped, str(result)
            assert not result.crossed, str(result)
            assert len(result.doubled) <= system.logs().count('"sender_gone"'), str(result)
        assert '"no_answer"' not in system.logs()


@pytest.mark.slow
async def test_a_killed_broker_loses_nothing(own_broker, tmp_path):
    options = Options(settings={"moderation": {"messages_per_minute": 0}})
    async with running(tmp_path, broker_url=own_broker.url, replicas=2, options=options) as system:
        asking = asyncio.create_task(keep_asking(system, "auto", seconds=SECONDS, rate=RATE))
        await asyncio.sleep(SECONDS / 3)
        await asyncio.to_thread(own_broker.restart)
        result = await settled(system, "auto", await asking)
        assert "delivery.ambiguous" not in system.logs()  # every sender lives

    # Where the broker takes longer to come back than WeChat's three deliveries, WeChat itself tells
    # the user that nobody answers: that message was never accepted.
    assert set(result.lost) <= set(result.refused), str(result)
    assert not result.doubled, str(result)
    assert not result.crossed, str(result)
