"""What was deleted by hand, or lost with the broker's disk, is there again within seconds."""

import asyncio
import shutil

import pytest
from queqiao_common.testing import eventually
from queqiao_common.topology import CONSUMERS, CONVERSATIONS, LLM, REQUESTS, STREAMS
from queqiao_testbed.brokers import ProcessBroker, started
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

from tests.integration.asking import insist

pytestmark = pytest.mark.broker

APOLOGY = "没能答上来"


async def test_deleted_consumers_streams_and_buckets_come_back_while_the_services_run(
    own_broker, bus, tmp_path, answered
):
    """Each time the next question is answered, and no earlier one is answered again."""

    async def delete_consumers():
        for one in CONSUMERS:
            await bus.api(f"CONSUMER.DELETE.{one.reads.stream.name}.{one.name}")

    async def delete(*streams):
        for one in streams:
            await bus.api(f"STREAM.DELETE.{one}")

    async with running(tmp_path, broker_url=own_broker.url, replicas=2) as system:
        await system.say("active", "l1", "第0问")
        await answered(system, "active", "l1", "第0问")
        await delete_consumers()
        await insist(system, "active", "l1", "第1问")
        await delete(CONVERSATIONS.stream)
        await insist(system, "active", "l1", "第2问")
        await delete("CHAT")
        await insist(system, "active", "l1", "第3问")
        await delete(*(one.name for one in STREAMS))
        await insist(system, "active", "l1", "第4问")

        replies = "\n".join(await system.replies("active", "l1"))

    # What was said in the minute before a document was lost may be answered again; nothing later.
    assert [replies.count(one) for one in ("第3问", "第4问")] == [1, 1]


async def test_a_broker_that_comes_back_empty_is_set_up_by_the_running_services(tmp_path, answered):
    """Its disk was lost: what was in flight is lost with it, the next question is not."""
    (tmp_path / "broker").mkdir()
    broker = ProcessBroker(tmp_path / "broker")
    for _ in started(broker):
        async with running(tmp_path, broker_url=broker.url, replicas=2) as system:
            await system.say("auto", "e1", "断电前")
            await answered(system, "auto", "e1", "断电前")

            await asyncio.to_thread(broker.kill)
            shutil.rmtree(tmp_path / "broker" / "store")
            await asyncio.to_thread(broker.start)

            await insist(system, "auto", "e1", "断电后")


async def test_without_the_right_to_it_services_say_who_should_apply_the_topology(
    own_broker, bus, tmp_path, answered
):
    options = Options(settings={"nats": {"apply_topology": False}})
    for name in ("first", "then"):
        (tmp_path / name).mkdir()
    async with running(tmp_path / "first", broker_url=own_broker.url) as system:
        await system.say("active", "a1", "先建好")
        await answered(system, "active", "a1", "先建好")
    async with running(tmp_path / "then", broker_url=own_broker.url, options=options) as system:
        await bus.api("CONSUMER.DELETE.LLM.llm-requests")

        await eventually(lambda: "queqiao topology apply" in system.logs())


@pytest.mark.slow
async def test_a_turn_whose_timer_was_lost_and_that_no_model_answers_still_ends(
    own_broker, bus, tmp_path, answered
):
    """The user does not write again, llm is down, the timers are gone: the apology comes."""
    options = Options(settings={"context": {"turn_timeout": 15.0}})
    async with running(tmp_path, broker_url=own_broker.url, options=options) as system:
        system.replica("llm").stop()
        await system.say("active", "t1", "没人回答")
        await eventually(lambda: bus.read_next(LLM, REQUESTS.filter, 0))

        await bus.api("STREAM.PURGE.TIMERS")

        await answered(system, "active", "t1", APOLOGY, within=60)
        system.replica("llm").start()
        await system.ready()  # or its start would take the seconds of the turn
        await system.say("active", "t1", "现在呢")
        await answered(system, "active", "t1", "现在呢")
