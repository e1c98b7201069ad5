"""Who follows, leaves and comes back while the model is slow: greeted, answered, in order."""

import msgspec
import pytest
from queqiao_common.bus import connect
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually
from queqiao_common.topology import CHAT, INBOUND

from tests.integration.conversation.watching import prompts, replies

WELCOME = "你好，欢迎关注！有什么想问的，直接发给我就好。"
MANY, FEW = {"left": 2, "of": 5}, {"left": 2, "of": 3}


@pytest.fixture
async def bus(talking_broker):
    bus = await connect(Nats(url=talking_broker.url), "test")
    yield bus
    await bus.close()


async def happens(system, bus, account, user, event, **details):
    """Wait until it is accepted: what is sent right after it travels by a connection of its own."""
    info = msgspec.json.decode(await bus.api(f"STREAM.INFO.{CHAT.name}"))
    last = info["state"]["last_seq"]
    await system.happen(account, user, event, **details)
    await eventually(lambda: bus.read_next(CHAT, INBOUND.filter, last))


async def quota(system, account, user):
    """What WeChat would still let us send."""
    query = {"account": account, "user": user}
    found = (await system.control("GET", "/conversation", params=query))["user"]["quota"]
    return {name: found[name] for name in ("left", "of")}


@pytest.mark.parametrize("account", ["auto", "active", "sub"])
async def test_who_comes_back_while_the_model_is_slow_is_greeted_and_answered_in_order(
    talking, bus, account
):
    """The question from before is answered, the greeting is that of the code by which they came
    back, and the persona of that code knows nothing of what was said before they left."""
    user = f"f-{account}"
    first, second = f"{user}第一问[delay=6]", f"{user}第二问"
    await talking.happen(account, user, "subscribe")
    assert await replies(talking, account, user) == [WELCOME]
    after_welcome = await quota(talking, account, user)

    await talking.say(account, user, first)
    await eventually(lambda: prompts(talking, first), within=60)
    await happens(talking, bus, account, user, "unsubscribe")
    # Two follows within a second are one event to WeChat's own rule (protocol reference 4.1).
    await talking.control("POST", "/clock", json={"advance": 2})
    await happens(talking, bus, account, user, "subscribe", event_key="qrscene_class-1")
    await talking.say(account, user, second)

    _, answer, greeting, last = await replies(talking, account, user, 4)
    assert (first in answer, greeting, second in last) == (True, "同学好", True)
    assert await prompts(talking, second) == [["你是老师。", second]]
    if account == "active":  # the others answer in callbacks, which count for nothing
        assert after_welcome == FEW
        assert await quota(talking, account, user) == MANY


async def test_a_follower_who_says_nothing_is_greeted_within_the_window_of_the_follow(talking):
    """What was left of the window from before they went away is no longer theirs."""
    await talking.say("active", "f-again", "f-again问")
    await replies(talking, "active", "f-again")
    await talking.happen("active", "f-again", "unsubscribe")
    await talking.control("POST", "/clock", json={"advance": 2})
    await talking.happen("active", "f-again", "subscribe")

    assert (await replies(talking, "active", "f-again", 2))[1] == WELCOME
    assert await quota(talking, "active", "f-again") == FEW
