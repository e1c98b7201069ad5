"""What lasts of a conversation, and what the user may do about it."""

import pytest
from queqiao_common.bus import connect
from queqiao_common.ids import conversation_id
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.settings import Nats
from queqiao_common.testing import eventually
from queqiao_common.topology import CONVERSATIONS, NOTES
from queqiao_context.document import Conversation, read
from queqiao_context.notes import Fact, Remembered
from queqiao_testbed.configuration import TOKEN

from tests.integration.conversation.watching import prompts, replies


@pytest.fixture
async def bus(talking):
    bus = await connect(Nats(url=talking.broker_url), "test")
    yield bus
    await bus.close()


async def key_of(system, user):
    users = await system.control("GET", "/users", params={"account": "auto"})
    [openid] = [one["openid"] for one in users if one["name"] == user]
    return f"auto.{conversation_id(pepper=TOKEN, account='auto', openid=openid)}"


async def test_notes_are_given_to_the_model_shown_and_erased(talking, bus):
    await talking.say("auto", "n1", "你好n1")
    await replies(talking, "auto", "n1")
    key, notes = await key_of(talking, "n1"), JetStreamDocuments(bus, NOTES, Remembered)
    await notes.update(key, lambda _: (Remembered(facts=(Fact(text="喜欢猫", turn=1),)), None))

    await talking.say("auto", "n1", "推荐n1")
    await replies(talking, "auto", "n1", 2)
    await talking.say("auto", "n1", "我的记忆")
    shown = (await replies(talking, "auto", "n1", 3))[2]
    await talking.say("auto", "n1", "忘记我")
    await replies(talking, "auto", "n1", 4)

    [prompt] = await prompts(talking, "推荐n1")
    assert "喜欢猫" in prompt[1]
    assert shown == "我记得这些关于你的事：\n· 喜欢猫"

    async def erased():
        return (await notes.get(key)).value is None

    await eventually(erased, within=60)


async def test_a_long_talk_is_summarised_by_the_model_itself(talking, bus):
    for number in range(1, 4):
        await talking.say("auto", "s1", f"第{number}问s1")
        await replies(talking, "auto", "s1", number)
    talks = JetStreamDocuments(bus, CONVERSATIONS, Conversation, read=read)
    key = await key_of(talking, "s1")

    async def summary():
        talk = (await talks.get(key)).value
        return talk is not None and talk.summary

    assert "请写出以上对话的摘要" in await eventually(summary, within=60)  # the model is an echo
    await talking.say("auto", "s1", "第4问s1")
    await replies(talking, "auto", "s1", 4)
    [prompt] = await prompts(talking, "第4问s1")
    assert "之前谈话的摘要" in prompt[1]
