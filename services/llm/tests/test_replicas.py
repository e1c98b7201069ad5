"""Two llm services on a real broker, as their processes start them, with one bucket of answers."""

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest
from queqiao_common import bus as bus_module
from queqiao_common import provision
from queqiao_common.events import Prompt, ReplySegment
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.runtime import open_runtime
from queqiao_common.settings import Config, Model, Nats
from queqiao_common.testing import eventually, request
from queqiao_common.topology import ANSWERS, LOADS, REPLY
from queqiao_llm.__main__ import main
from queqiao_llm.answers import Answer, lives
from queqiao_llm.gates import Gate
from queqiao_llm.loads import Limits, Load
from queqiao_localmodel.fake import serving
from queqiao_testbed.ports import free_ports

pytestmark = pytest.mark.broker

QUESTION = "怎么申请退款？"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
async def model():
    """A slow model that counts its calls."""
    async with serving() as url, httpx.AsyncClient(base_url=url) as http:
        await http.put("/control", json={"latency": 0.5})
        yield http


async def calls(model):
    return (await model.get("/control/calls")).json()["total"]


@pytest.fixture
async def bus(broker):
    bus = await bus_module.connect(Nats(url=broker.url), "test")
    await provision.apply_patiently(bus)
    yield bus
    await bus.close()


@asynccontextmanager
async def replica(monkeypatch, broker, model):
    port, _ = free_ports()
    monkeypatch.setenv("QUEQIAO_HTTP_HOST", "127.0.0.1")
    monkeypatch.setenv("QUEQIAO_HTTP_PORT", str(port))
    models = (Model(id="main", base_url=f"{model.base_url}/v1", model="some-model"),)
    async with open_runtime("llm", Config(nats=Nats(url=broker.url), models=models)) as runtime:
        running = asyncio.create_task(main(runtime))
        await eventually(lambda: is_ready(port))
        yield
        runtime.stopping.set()
        await running


async def is_ready(port):
    async with httpx.AsyncClient() as http:
        try:
            return (await http.get(f"http://127.0.0.1:{port}/readyz")).is_success
        except httpx.TransportError:
            return False


async def ask(bus, user: str) -> None:
    prompt = (Prompt("system", "你是客服。"), Prompt("user", QUESTION))
    turn = request(
        id=f"req:{user}",
        conv=user,
        turn_id=f"main.{user}.1",
        prompt=prompt,
        deadline_ms=now_ms() + 60_000,
    )
    await bus.publish_event(turn)


async def answers(bus) -> list[ReplySegment]:
    found, after = [], 0
    while (stored := await bus.read_next(REPLY, "reply.draft.main", after)) is not None:
        after = stored.sequence
        found.append(msgspec.json.decode(stored.data, type=ReplySegment))
    return found


async def test_two_hundred_who_ask_the_same_cost_one_call(monkeypatch, broker, model, bus):
    """A campaign sends everybody the same question at once."""
    monkeypatch.setattr(
        "queqiao_llm.flights.PATIENCE", 20.0
    )  # who is not told in time asks for themselves
    users = [f"c_{number}" for number in range(200)]
    async with replica(monkeypatch, broker, model), replica(monkeypatch, broker, model):
        await asyncio.gather(*(ask(bus, user) for user in users))

        async def all_answered():
            last = await answers(bus)
            return last if len([one for one in last if one.final]) == len(users) else None

        last = await eventually(all_answered, within=60, every=0.3)

    assert await calls(model) == 1
    assert {one.conv for one in last} == set(users)
    assert len({"".join(one.text for one in last if one.conv == user) for user in users}) == 1
    assert Counter(one.model for one in last)["cache"] == len(users) - 1


async def test_documents_live_as_long_as_they_say(bus):
    """A pinned answer outlives the bucket's own limit; a lease ends by itself."""
    documents = JetStreamDocuments(bus, ANSWERS, Answer, lives=lives(now_ms))
    await documents.create("main.x.lease", Answer(question="", created_ms=0, expires_ms=now_ms()))
    await documents.create("main.x.pinned", Answer(question="", created_ms=0, pinned=True))
    subject = {"last_by_subj": "$KV.answers.main.x.pinned"}
    pinned = await bus.api(f"STREAM.MSG.GET.{ANSWERS.stream}", subject)

    async def lease_is_gone():
        return (await documents.get("main.x.lease")).value is None

    await eventually(lease_is_gone)
    headers = msgspec.json.decode(pinned, type=dict)["message"]["hdrs"]
    assert b"Nats-TTL: never" in msgspec.convert(headers, bytes)
    assert (await documents.get("main.x.pinned")).value is not None


async def test_the_next_who_starts_knows_what_was_kept(monkeypatch, broker, model, bus):
    async with replica(monkeypatch, broker, model):
        await ask(bus, "c_first")
        await eventually(lambda: answers(bus))
    async with replica(monkeypatch, broker, model):
        await ask(bus, "c_second")

        async def is_answered():
            return [one for one in await answers(bus) if one.conv == "c_second"]

        [second] = await eventually(is_answered)

    assert second.model == "cache"
    assert await calls(model) == 1


async def test_replicas_that_ask_at_once_share_what_a_provider_allows(bus, monkeypatch):
    """Compare-and-swap decides, and nothing is granted twice however they race."""
    monkeypatch.setattr("queqiao_llm.gates.PATIENCE", 30.0)  # who is not told in time goes on
    limits = Limits(requests=40)
    gates = [
        Gate(JetStreamDocuments(bus, LOADS, Load), "main.0", limits, replica=name, now_ms=now_ms)
        for name in "abc"
    ]

    let_in = await asyncio.gather(*(gate.enter(1) for gate in gates for _ in range(30)))

    assert sum(let_in) <= 40
    assert sum(let_in) >= 20  # the rest is granted to somebody, or free for the next
