"""A full stream is passed on to the user as patience, waited for inside, and then forgotten."""

from functools import partial

import httpx
import pytest
from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

pytestmark = pytest.mark.broker

BUSY = "忙不过来"
TINY = Options(
    settings={
        "nats": {"stream_bytes": 1e-4},  # 210 kB of what users say
        "ingress": {"busy": BUSY},
        "moderation": {"messages_per_minute": 0},
    }
)
WAITING = "publish.waiting"


@pytest.mark.parametrize("account", ["auto", "sub"])
async def test_users_are_asked_for_patience_while_there_is_no_room_and_then_answered(
    account, own_broker, bus, tmp_path, answered, fill
):
    """`success` would be a lie, and an error would show the user an error."""
    async with running(tmp_path, broker_url=own_broker.url, options=TINY) as system:
        await fill("chat.inbound.filler.x")

        await system.say(account, "p1", "挤得进去吗")
        await answered(system, account, "p1", BUSY)

        async def is_seen():
            await system.say(account, "p2", "还是不行吗")
            return await anybody_waits(system, ("ingress",))

        await eventually(is_seen, within=60, every=0.5)
        await bus.api("STREAM.PURGE.CHAT", {"filter": "chat.inbound.filler.>"})
        await system.say(account, "p1", "现在呢")
        await answered(system, account, "p1", "现在呢")
        assert not await anybody_waits(system, ("ingress",))


def has_waited(system, before):
    return system.logs().count(WAITING) > before


async def anybody_waits(system, services=("moderation", "context", "llm", "egress")):
    """Whether a service says on its own port that what it has to store is waiting."""
    ports = [port for service in services for port in system.ports.services[service]]
    async with httpx.AsyncClient() as http:
        pages = [await http.get(f"http://127.0.0.1:{port}/readyz") for port in ports]
        metrics = [await http.get(f"http://127.0.0.1:{port}/metrics") for port in ports]
    assert all(page.is_success for page in pages), "it is degraded, but ready"
    shown = any('queqiao_degraded{mode="storage"} 1.0' in page.text for page in metrics)
    return shown and any("storage" in page.text for page in pages)


@pytest.mark.slow
async def test_services_wait_for_room_inside_and_lose_and_double_nothing(
    own_broker, bus, tmp_path, answered, fill
):
    async with running(tmp_path, broker_url=own_broker.url, options=TINY) as system:
        full = {
            "LLM": "llm.request.filler",
            "REPLY": "reply.draft.filler",
            "KV_conversations": "$KV.conversations.filler",
            "KV_sent": "$KV.sent.filler",
            "KV_quota": "$KV.quota.filler",
        }
        for number, (stream, subject) in enumerate(full.items(), start=1):
            question, user = f"第{number}问", f"i{number}"
            before = system.logs().count(WAITING)
            await fill(subject)
            await system.say("active", user, question)
            await eventually(partial(has_waited, system, before), within=60)
            await eventually(partial(anybody_waits, system), within=60)

            await bus.api(f"STREAM.PURGE.{stream}", {"filter": f"{subject}.>"})

            await answered(system, "active", user, question)
            assert len(await system.replies("active", user)) == 1, stream
            assert not await anybody_waits(system)
        assert '"outcome": "bury"' not in system.logs()


async def test_claims_that_cannot_be_written_are_answered_once_there_is_room(
    own_broker, bus, tmp_path, answered, fill
):
    """The request cannot be given its reply without one: WeChat comes again, and so does egress."""
    async with running(tmp_path, broker_url=own_broker.url, options=TINY) as system:
        await fill("$KV.claims.filler")
        await system.say("auto", "k1", "没有地方认领")
        await eventually(partial(anybody_waits, system, ("egress",)), within=60)

        await bus.api("STREAM.PURGE.KV_claims", {"filter": "$KV.claims.filler.>"})

        await answered(system, "auto", "k1", "没有地方认领")
        await system.say("auto", "k1", "再来一句")
        await answered(system, "auto", "k1", "再来一句")
        replies = await system.replies("auto", "k1")

    assert len(replies) == 2, replies
