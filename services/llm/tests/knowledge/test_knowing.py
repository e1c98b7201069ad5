import asyncio

import pytest
from msgspec import structs
from queqiao_common.errors import TransientError
from queqiao_common.events import Prompt
from queqiao_common.settings import Config, Handover, Persona
from queqiao_common.testing import MemoryObjects, received, request
from queqiao_llm.completion import question_of
from queqiao_llm.knowledge.asking import Asking
from queqiao_llm.knowledge.knowing import Knowing
from queqiao_llm.knowledge.library import Library
from queqiao_llm.preparing import Prepared, Preparing
from queqiao_llm.runs import Said

from services.llm.tests.fakes.cache import Writer
from services.llm.tests.knowledge.documents import PERSONA, UNKNOWN, document, knowing, put

CITED = "〔来源：常见问题〕"


@pytest.fixture
async def objects():
    objects = MemoryObjects()
    await put(objects, "faq/a.csv", document())
    return objects


def asks(*said, **fields):
    roles = ["user", "assistant"] * len(said)
    prompt = (PERSONA, *map(Prompt, roles, said))
    return request(**({"prompt": prompt, "persona": "service"} | fields))


async def prepared(known, *said, **fields):
    event = asks(*said, **fields)
    return await known.prepare(event, Prepared(question_of(event.prompt)))


async def answered(known, question, *pieces):
    """Let a model say these pieces, and return what leaves."""
    writer = Writer(*pieces)
    preparing = Preparing(known.citing(lambda turn, _: writer.write(turn)), steps=(known.prepare,))
    return [said async for said in preparing.write(received(asks(question)))]


def told(result):
    return [one.content for one in result.question.messages if one.role == "system"]


async def test_a_model_is_given_the_passages_behind_its_persona(objects):
    result = await prepared(await knowing(objects), "退款多久能到账？")

    persona, passages = told(result)
    assert persona == PERSONA.content
    assert "三个工作日内原路退回" in passages
    assert result.question.messages[-1].content == "退款多久能到账？"
    assert [one.title for one in result.sources] == ["常见问题"]


async def test_passages_stand_before_the_history(objects):
    result = await prepared(await knowing(objects), "会员怎么退款？", "申请即可。", "多久到账？")

    assert [one.role for one in result.question.messages] == [
        "system",
        "system",
        "user",
        "assistant",
        "user",
    ]


async def test_a_question_that_leans_on_the_last_one_is_found_by_both(objects):
    result = await prepared(await knowing(objects), "怎么开电子发票？", "点击申请。", "发到哪里？")

    assert "发送到您的邮箱" in told(result)[1]


async def test_a_strict_persona_says_that_it_does_not_know_and_offers_a_person(objects):
    result = await prepared(await knowing(objects, knowledge_only=True), "附近有什么好吃的火锅？")

    assert result.notice is not None
    assert result.notice.text == f"{UNKNOWN}\n\n需要人工帮助的话，请回复「人工」。"


async def test_nobody_is_offered_where_there_are_no_agents(objects):
    known = await knowing(objects, knowledge_only=True, kind="wecom_bot")

    result = await prepared(known, "附近有什么好吃的火锅？")

    assert result.notice is not None
    assert result.notice.text == UNKNOWN


async def test_a_strict_persona_still_returns_a_greeting(objects):
    result = await prepared(await knowing(objects, knowledge_only=True), "你好")

    assert result.notice is None
    assert len(told(result)) == 1


async def test_another_persona_answers_with_caution(objects):
    result = await prepared(await knowing(objects), "附近有什么好吃的火锅？")

    assert result.notice is None
    assert UNKNOWN in told(result)[1]
    assert "请回复「人工」" in told(result)[1]
    assert result.sources == ()


async def test_a_persona_without_collections_is_left_alone(objects):
    known = await knowing(objects, knowledge=())

    assert len(told(await prepared(known, "退款多久能到账？"))) == 1


async def test_a_summary_and_a_picture_are_not_looked_up(objects):
    known = await knowing(objects, knowledge_only=True)
    picture = (PERSONA, Prompt("user", "这是什么", media=("main/x",)))

    for fields in ({"purpose": "summary"}, {"prompt": picture}):
        event = structs.replace(asks("退款多久到账"), **fields)
        result = await known.prepare(event, Prepared(question_of(event.prompt)))
        assert len(told(result)) == 1
        assert result.notice is None


class Away:
    """A vector store that does not answer."""

    async def candidates(self, collections, sought, vector):
        raise TransientError("gone fishing")


class Hanging:
    async def candidates(self, collections, sought, vector):
        await asyncio.Event().wait()


@pytest.mark.parametrize("store", [Away(), Hanging()])
async def test_a_search_that_fails_does_not_claim_that_there_is_nothing(objects, store):
    known = await knowing(objects, passages=store, knowledge_only=True)
    known._rules = structs.replace(known._rules, timeout=0.01)

    result = await prepared(known, "退款多久能到账？")

    assert result.notice is None
    assert result.is_makeshift


async def test_before_all_is_loaded_a_question_waits(objects):
    library = Library(objects, Asking(), collections=["faq"])
    config = Config(
        personas={"service": Persona(knowledge=("faq",))}, handover=Handover(enabled=False)
    )
    known = Knowing(config=config, library=library, asking=Asking(), passages=library)

    waiting = asyncio.create_task(prepared(known, "退款多久能到账？"))
    await asyncio.sleep(0)
    await library.refresh()

    assert (await waiting).sources


class Meaning:
    """An embedder for which every question means the same."""

    async def embed(self, texts):
        return [[1.0, 0.0] for _ in texts]


class Broken:
    async def embed(self, texts):
        raise TransientError("status 500")


async def test_meaning_finds_what_words_do_not():
    objects = MemoryObjects()
    vectors = b"\x00\x3c\x00\x00"  # 1.0, 0.0
    one = document(chunks={"款项返还时效": "审核后三日。"}, dimensions=2, vectors=vectors)
    await put(objects, "faq/a.csv", one)

    found = await prepared(await knowing(objects, embedder=Meaning()), "钱啥时候能回来呀")

    assert "审核后三日" in told(found)[1]


async def test_without_the_embedder_words_are_compared(objects):
    result = await prepared(await knowing(objects, embedder=Broken()), "退款多久能到账？")

    assert result.sources


# -- what leaves -----------------------------------------------------------------------------


async def test_an_answer_that_cites_is_left_as_it_is(objects):
    known = await knowing(objects)

    [said] = await answered(known, "退款多久能到账？", f"三个工作日内。\n{CITED}")

    assert said.segment.text == f"三个工作日内。\n{CITED}"


async def test_the_source_is_added_to_the_last_piece(objects):
    """Pieces leave while the rest is written: only at the end is it known that it lacks."""
    known = await knowing(objects)

    first, last = await answered(known, "退款多久能到账？", "先审核。", "然后三个工作日内退回。")

    assert first.segment.text == "先审核。"
    assert last.segment.text == f"然后三个工作日内退回。\n\n{CITED}"
    assert not last.cut


async def test_an_invented_source_is_replaced_by_the_real_one(objects):
    [said] = await answered(await knowing(objects), "退款多久能到账？", "三天。〔来源：内部手册〕")

    assert said.segment.text == f"三天。\n\n{CITED}"


async def test_a_model_that_finds_nothing_in_the_passages_cites_nothing_and_offers_a_person(
    objects,
):
    [said] = await answered(await knowing(objects), "退款多久能到账？", UNKNOWN)

    assert "来源" not in said.segment.text
    assert "人工" in said.segment.text
    assert said.cut  # others may ask it when there is an answer


async def test_a_failed_answer_gets_no_source(objects):
    [said] = await answered(await knowing(objects), "退款多久能到账？")

    assert said.segment.text == ""
    assert said.segment.failed


async def test_an_answer_without_its_documents_is_not_kept_for_others(objects):
    known = await knowing(objects, passages=Away())

    [said] = await answered(known, "退款多久能到账？", "一般三天。")

    assert said.cut


async def test_a_second_run_is_cited_by_itself(objects):
    known, writer = await knowing(objects), Writer("三天。")

    async def twice(turn, _):
        async for said in writer.write(turn):
            cited = structs.replace(said.segment, text=f"一半。{CITED}", final=False)
            yield Said(cited)
            yield Said(structs.replace(said.segment, attempt=2))

    preparing = Preparing(known.citing(twice), steps=(known.prepare,))
    *_, last = await published_said(preparing, "退款多久能到账？")

    assert last.segment.text == f"三天。\n\n{CITED}"


async def published_said(preparing, question):
    return [said async for said in preparing.write(received(asks(question)))]


async def test_the_version_is_that_of_the_personas_collections(objects):
    known = await knowing(objects)

    assert known.version("service") != "0"
    assert known.version("assistant") == "0"
