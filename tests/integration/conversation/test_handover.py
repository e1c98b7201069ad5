"""A user is given to a person and taken back, and the bot is silent in between."""

from tests.integration.conversation.watching import prompts, replies

PASSED_ON = "[转人工客服]"


async def test_a_rule_hands_over_and_a_word_takes_back(talking):
    await talking.say("auto", "h1", "我要投诉h1")
    first = await replies(talking, "auto", "h1", 2)
    assert "正在为您转接人工客服，请稍候。" in first
    assert any(PASSED_ON in text for text in first)

    await talking.say("auto", "h1", "有人吗h1")
    assert PASSED_ON in (await replies(talking, "auto", "h1", 3))[2]
    await talking.say("auto", "h1", "返回机器人")
    assert "人工服务已结束" in (await replies(talking, "auto", "h1", 4))[3]
    await talking.say("auto", "h1", "你好h1")
    assert "你好h1" in (await replies(talking, "auto", "h1", 5))[4]

    assert await prompts(talking, "有人吗h1") == []
