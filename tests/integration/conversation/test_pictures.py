"""Pictures and the question about them are one turn, whichever comes when."""

import pytest

from tests.integration.conversation.watching import asked, replies


@pytest.mark.parametrize("account", ["auto", "sub"])
async def test_pictures_and_then_a_question_are_one_turn(talking, account):
    """On whatever account: the question is answered with both pictures before the model."""
    user = f"p1-{account}"
    for _ in range(2):
        await talking.say(account, user, "", kind="image")
    await talking.say(account, user, f"这两张有什么不同{user}")

    [reply] = await replies(talking, account, user)

    assert f"这两张有什么不同{user}" in reply
    assert await asked(talking, f"不同{user}") == [2]


async def test_a_picture_alone_is_answered_after_a_moment_and_can_be_asked_about(talking):
    await talking.say("auto", "p2", "", kind="image")
    await replies(talking, "auto", "p2")

    await talking.say("auto", "p2", "这是什么p2")
    await replies(talking, "auto", "p2", 2)

    assert await asked(talking, "这是什么p2") == [1]
