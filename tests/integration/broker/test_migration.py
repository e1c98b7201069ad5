"""A broker that holds an older release's topology is brought up to date in place, under load."""

import asyncio
from dataclasses import replace

import pytest
from queqiao_common import provision
from queqiao_common.provision import Unchangeable
from queqiao_common.testing import eventually, inbound
from queqiao_common.topology import (
    CHAT,
    CLAIMS,
    CONTEXT_SCREENED,
    DAY,
    DEAD,
    LLM,
    MODERATION_INBOUND,
    REPLY,
)
from queqiao_common.worker import Worker

pytestmark = pytest.mark.broker

OLD_CHAT = replace(
    CHAT, subjects=("chat.inbound.>",), max_age=DAY, max_bytes=2**20, duplicate_window=60.0
)
OLD_REPLY = replace(REPLY, subjects=("reply.draft.>", "reply.screened.>"))
OLD_CLAIMS = replace(CLAIMS, ttl=60.0, max_value=1024)
OLD_INBOUND = replace(MODERATION_INBOUND, ack_wait=8.0, attempts=2, max_ack_pending=10)


async def create(bus, *streams):
    for stream in streams:
        config = stream if isinstance(stream, dict) else provision.stream_config(stream)
        await bus.api(f"STREAM.CREATE.{config['name']}", config)


async def test_an_older_topology_is_updated_while_its_events_are_in_flight(bus):
    """Some are handled, some in hand, some waiting, some still to come: all arrive, once."""
    await create(bus, OLD_CHAT, OLD_REPLY, provision.bucket_config(OLD_CLAIMS))
    await provision.apply_consumer(bus, OLD_INBOUND, from_start=True)
    handled, release = [], asyncio.Event()

    async def screen(received):
        if received.event.msgid != "m_0":
            await release.wait()
        handled.append(received.event.msgid)
        return
        yield

    worker = Worker(bus, OLD_INBOUND, screen, slots=4)
    working = asyncio.create_task(worker.run())
    for number in range(20):
        await bus.publish_event(inbound(msgid=f"m_{number}"))
    await eventually(lambda: handled == ["m_0"])

    lines = await provision.apply(bus)
    for number in range(20, 25):
        await bus.publish_event(inbound(msgid=f"m_{number}"))
    release.set()

    await eventually(lambda: len(handled) >= 25)
    worker.stop()
    await working
    assert sorted(handled) == sorted(f"m_{number}" for number in range(25))
    assert {"LLM: created", "KV_conversations: created", f"{CONTEXT_SCREENED.name}: created"} <= {
        *lines
    }
    [consumer] = [line for line in lines if line.startswith(MODERATION_INBOUND.name)]
    assert "ack_wait 8000000000 -> 10000000000" in consumer
    assert "max_deliver 5 -> 11" in consumer
    assert await provision.apply(bus) == []


async def test_what_an_older_replica_finds_wider_it_leaves_so(bus, count):
    """It starts once more during the upgrade: what the newer release widened must stay."""
    await create(
        bus,
        replace(LLM, subjects=("llm.request.>", "llm.result.>"), max_age=30 * DAY),
        replace(DEAD, max_bytes=2**22),
        provision.bucket_config(replace(CLAIMS, ttl=None)),
    )
    for number in range(30):
        await bus.publish("dead.letter", b"x" * 50_000, event_id=str(number))

    lines = await provision.apply(bus, scale=0.002)  # DEAD: 1 MiB, less than it holds

    assert {line.split(":")[0] for line in lines if " stays " in line} == {
        "LLM", "DEAD", "KV_claims",
    }  # fmt: skip
    assert await count("DEAD") == 30
    ack = await bus.publish("llm.result.old", b"{}", event_id="still")
    assert ack.stream == "LLM"


async def test_two_releases_that_meet_an_empty_broker_at_once_agree(bus):
    """Each finds nothing, and then what the other made meanwhile: no reason not to start."""
    older, newer = await asyncio.gather(
        provision.apply(bus, scale=0.5), provision.apply(bus, scale=1.0)
    )

    lines = [*older, *newer]
    assert sorted(line for line in lines if line.startswith("CHAT:") and "created" in line) == [
        "CHAT: created"
    ]
    assert any(line.startswith("CHAT: max_bytes ") for line in lines)


async def test_a_stream_is_resized_below_what_it_holds_without_losing_it(bus, count):
    """`[nats] stream_bytes` was lowered: new events wait, old ones stay."""
    await provision.apply(bus)
    for number in range(30):
        await bus.publish_event(inbound("x" * 50_000, msgid=f"m_{number}"))

    await provision.apply(bus, scale=0.0005)  # 1 MiB

    assert await count("CHAT") == 30


@pytest.mark.parametrize(
    ("old", "said"),
    [
        (replace(CHAT, storage="memory"), r"stream CHAT: storage memory -> file: JetStream cannot"),
        (
            provision.stream_config(CHAT) | {"retention": "workqueue"},
            r"stream CHAT: retention workqueue -> limits: JetStream cannot",
        ),
    ],
    ids=["storage", "retention"],
)
async def test_what_cannot_be_changed_is_said_in_one_line_before_anything_is_changed(
    old, said, bus
):
    await create(bus, old)

    with pytest.raises(Unchangeable, match=said) as error:
        await provision.apply(bus)

    assert "\n" not in str(error.value)
    assert "docs/operations.md" in str(error.value)
    assert b'"total":1' in await bus.api("STREAM.NAMES")


async def test_a_consumer_that_cannot_be_changed_is_named_with_both_values(bus):
    await provision.apply(bus)
    await bus.api("CONSUMER.DELETE.CHAT.moderation-inbound")
    old = provision.consumer_config(MODERATION_INBOUND) | {"max_waiting": 100}
    body = {"stream_name": "CHAT", "config": old}
    await bus.api("CONSUMER.DURABLE.CREATE.CHAT.moderation-inbound", body)

    with pytest.raises(Unchangeable) as error:
        await provision.apply(bus)

    assert str(error.value).startswith(
        "consumer moderation-inbound: max_waiting 100 -> 512: JetStream refused (max waiting can"
    )


async def test_more_replicas_than_servers_are_refused_in_one_line(bus):
    with pytest.raises(Exception, match="replicas > 1 not supported in non-clustered mode"):
        await provision.apply(bus, replicas=3)


async def test_a_consumer_created_on_an_old_stream_does_not_begin_at_its_beginning(bus):
    """Deleted by hand and created again, it would have three days of replies sent once more."""
    await provision.apply(bus)
    await bus.api("CONSUMER.DELETE.CHAT.moderation-inbound")

    await provision.apply(bus)

    assert b'"deliver_policy":"by_start_time"' in await bus.api(
        "CONSUMER.INFO.CHAT.moderation-inbound"
    )
