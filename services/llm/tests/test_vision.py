import base64

import pytest
from queqiao_common.events import Prompt
from queqiao_common.settings import Media, Model
from queqiao_common.testing import MemoryObjects, request
from queqiao_llm.completion import Message, question_of
from queqiao_llm.preparing import Prepared
from queqiao_llm.vision import GONE, TOO_MANY, UNREADABLE, Vision, mime_of

JPEG, PNG = b"\xff\xd8\xff\xe0jpeg", b"\x89PNG\r\n\x1a\npng"
BLIND = Model(id="blind", base_url="http://m/v1", model="m")
SEEING = Model(id="seeing", base_url="http://m/v1", model="m", vision=True)
ASKED = (
    Prompt("system", "你是老师"),
    Prompt("user", "这是什么？", ("main/a",)),
    Prompt("assistant", "一只猫。"),
    Prompt("user", "那这两张呢？", ("main/b", "main/c")),
)


def vision(models=(BLIND, SEEING), **stored):
    objects = MemoryObjects()
    objects.stored = {f"main/{name}": content for name, content in stored.items()}
    return Vision(objects, {"default": models}, Media())


async def prepare(step, prompt=ASKED, **fields):
    turn = request(prompt=prompt, **fields)
    return await step.prepare(turn, Prepared(question_of(turn.prompt)))


def url(content, mime):
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


async def test_pictures_are_shown_where_they_were_sent():
    prepared = await prepare(vision(a=JPEG, b=PNG, c=JPEG))

    assert prepared.needs_vision
    assert [message.pictures for message in prepared.question.messages] == [
        (),
        (url(JPEG, "image/jpeg"),),
        (),
        (url(PNG, "image/png"), url(JPEG, "image/jpeg")),
    ]
    assert prepared.question.messages[3].content == "那这两张呢？"


async def test_a_step_before_may_have_added_to_the_question():
    turn = request(prompt=ASKED)
    question = question_of(turn.prompt)
    told = (Message("system", "资料"), *question.messages)

    prepared = await vision(a=JPEG, b=PNG, c=JPEG).prepare(
        turn, Prepared(type(question)(messages=told))
    )

    assert [len(message.pictures) for message in prepared.question.messages] == [0, 0, 1, 0, 2]


async def test_where_no_model_can_see_the_user_is_told_so():
    prepared = await prepare(vision((BLIND,), a=JPEG, b=PNG, c=JPEG))

    assert prepared.notice is not None
    assert prepared.notice.text == Media().no_vision


async def test_pictures_of_earlier_turns_do_not_silence_a_model_that_cannot_see():
    """The user was told then; now the question is another."""
    prepared = await prepare(vision((BLIND,), a=JPEG), (*ASKED[:3], Prompt("user", "你是谁？")))

    assert prepared.notice is None
    assert not prepared.needs_vision


async def test_a_picture_that_is_gone_is_told_in_words():
    prepared = await prepare(vision(a=JPEG))

    assert prepared.question.messages[3].content == f"那这两张呢？\n{GONE}"
    assert prepared.needs_vision


async def test_without_any_picture_left_every_model_may_answer():
    prepared = await prepare(vision())

    assert not prepared.needs_vision
    assert prepared.notice is None


async def test_what_is_no_picture_is_told_in_words():
    prepared = await prepare(vision(a=b"<svg onload=", b=b"MZ", c=PNG))

    assert UNREADABLE in prepared.question.messages[1].content
    assert prepared.question.messages[3].pictures == (url(PNG, "image/png"),)


async def test_the_newest_pictures_go_first_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr("queqiao_llm.vision.MAX_BYTES", len(PNG) + len(JPEG))

    prepared = await prepare(vision(a=JPEG, b=PNG, c=JPEG))

    assert prepared.question.messages[1].pictures == ()
    assert TOO_MANY in prepared.question.messages[1].content
    assert len(prepared.question.messages[3].pictures) == 2


@pytest.mark.parametrize("fields", [{"prompt": (Prompt("user", "你好"),)}, {"purpose": "summary"}])
async def test_turns_without_pictures_and_summaries_are_left_alone(fields):
    prepared = await prepare(vision((BLIND,), a=JPEG), **fields)

    assert (prepared.notice, prepared.needs_vision) == (None, False)


def test_a_picture_is_known_by_how_it_begins():
    assert mime_of(b"RIFF\x00\x00\x00\x00WEBPVP8") == "image/webp"
    assert mime_of(b"GIF89a") == "image/gif"
    assert mime_of(b"RIFF\x00\x00\x00\x00WAVE") == ""
