"""What tools and pictures bring into an answer is for one user, and of one moment."""

import pytest
from msgspec import structs
from queqiao_common.events import Prompt
from queqiao_common.settings import Persona
from queqiao_common.testing import segment
from queqiao_llm.caching import whole
from queqiao_llm.runs import Said

from services.llm.tests.fakes.cache import PERSONA, Bucket, Replica, Writer


async def test_a_persona_with_tools_is_never_answered_from_the_cache():
    """The weather of yesterday would be told today."""
    personas = {"guide": Persona(prompt=PERSONA.content, tools=("map",))}
    replica = Replica(Bucket(), Writer("晴。"), personas=personas)

    await replica.ask("北京的天气怎么样")
    await replica.ask("北京的天气怎么样")

    assert len(replica.writer.asked) == 2


async def test_a_question_about_a_picture_is_never_answered_from_the_cache():
    """The same words are asked of every picture."""
    replica = Replica(Bucket(), Writer("一只猫。"))

    for picture in ("main/a", "main/b"):
        prompt = (PERSONA, Prompt("user", "图中的动物叫什么名字", (picture,)))
        await replica.ask(prompt=prompt)

    assert len(replica.writer.asked) == 2


@pytest.mark.parametrize("fields", [{"handover": True}, {"notes": ("叫小王",)}])
def test_an_answer_that_did_more_than_speak_is_not_kept(fields):
    """From the cache it would only speak."""
    plain = segment("好。", final=True)

    assert whole([Said(plain)]) == "好。"
    assert whole([Said(structs.replace(plain, **fields))]) == ""
