"""Replicas whose hosts disagree about the time: no user is answered worse for it."""

import asyncio

import pytest
from queqiao_common.testing import eventually
from queqiao_common.topology import SERVICES
from queqiao_testbed.clocks import PACKAGE, Clock, find_library
from queqiao_testbed.configuration import Options
from queqiao_testbed.faults import MINUTES_OFF, REPLICAS
from queqiao_testbed.ledger import MARK, mark
from queqiao_testbed.system import running

LIBRARY = find_library()
ACCOUNTS = ("active", "auto", "sub")
USERS = 6
SEEN = 2.0
"""Seconds until every process lives by a clock that was set: it looks once a second."""

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(LIBRARY is None, reason=f"{PACKAGE} is not installed"),
]


async def ask(system, name):
    """Some users of each account ask one question each; returns what has to be shown."""
    asked = set()
    for account in ACCOUNTS:
        for number in range(USERS):
            user = f"{name}{account}{number}"
            await system.say(account, user, f"{mark(user, 1)} 在吗")
            asked.add(mark(user, 1))
    return asked


async def shown(system):
    texts = [
        entry["text"]
        for account in ACCOUNTS
        for entry in await system.transcript(account)
        if entry["who"] == "account"
    ]
    return {match[0] for text in texts for match in MARK.finditer(text)}


async def test_a_replica_whose_clock_is_two_minutes_off_answers_like_the_others(
    one_broker, tmp_path
):
    """What one replica dates (a deadline, a window, a lease), others compare with their time."""
    assert LIBRARY is not None
    clocks = {name: Clock(tmp_path / f"{name}.clock", LIBRARY) for name in REPLICAS}
    options = Options(
        settings={
            "moderation": {"messages_per_minute": 0},
            "cache": {"enabled": False},
            "context": {"turn_timeout": 25.0},
        },
        own_variables={name: clock.variables for name, clock in clocks.items()},
    )
    with one_broker(tmp_path) as broker:
        async with running(tmp_path, broker_url=broker.url, replicas=2, options=options) as system:
            for service in SERVICES:
                for direction, seconds in (("ahead", MINUTES_OFF), ("behind", -MINUTES_OFF)):
                    clocks[f"{service}-0"].set(seconds)
                    await asyncio.sleep(SEEN)
                    asked = await ask(system, f"{service}{direction}")

                    async def answered(asked=asked):
                        return asked <= await shown(system)

                    await eventually(answered, within=90.0, every=0.5)
                    clocks[f"{service}-0"].set(0.0)
