"""Pictures and the question about them are one turn, whichever comes when."""

from tests.integration.conversation.watching import asked, replies


async def test_pictures_and_then_a_question_are_one_turn(talking):
    for _ in range(2):
        await talking.say("auto", "p1", "", kind="image")
    await talking.say("auto", "p1", "这两张有什么不同p1")

    [reply] = await replies(talking, "auto", "p1")

    assert "这两张有什么不同p1" in reply
    assert await asked(talking, "不同p1") == [2]


async def test_a_picture_alone_is_answered_after_a_moment_and_can_be_asked_about(talking):
    await talking.say("auto", "p2", "", kind="image")
    await replies(talking, "auto", "p2")

    await talking.say("auto", "p2", "这是什么p2")
    await replies(talking, "auto", "p2", 2)

    assert await asked(talking, "这是什么p2") == [1]
