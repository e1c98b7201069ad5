"""Where one message spends its time: from stored to stored, by the broker's own clock."""

import asyncio
from collections import defaultdict
from datetime import datetime
from itertools import pairwise

import msgspec
from msgspec import Struct
from queqiao_common import bus as bus_module
from queqiao_common.bus import Bus
from queqiao_common.settings import Nats
from queqiao_common.topology import CHAT, CLAIMS, LLM, PASSIVE, REPLY
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

from bench.machine import NO_LIMIT, load, markdown, percentile, stage
from bench.overhead import RATE

STEPS = {
    "chat.inbound": "the message",
    "chat.screened": "its verdict",
    "llm.request": "the request (before it, the conversation)",
    "reply.draft": "the draft (before it, the model's answer)",
    "reply.screened": "the screened draft",
    "reply.ready": "the delivery (before it, the conversation)",
    "passive.offer": "the offer",
    "$KV.claims": "the claim",
}
STREAMS = (CHAT.name, LLM.name, REPLY.name, PASSIVE.name, CLAIMS.stream)
AT_ONCE = 40
"""Messages that are read at once."""


class _Named(Struct):
    """What an event says of whose it is; an offer and a claim name the message alone."""

    conv: str = ""
    msgid: str = ""
    message: "_Named | None" = None


class _Message(Struct):
    subject: str
    time: datetime
    data: bytes = b""


class _Answer(Struct):
    message: _Message


class _State(Struct):
    last_seq: int


class _Info(Struct):
    state: _State


async def _last(bus: Bus, stream: str) -> int:
    answer = await bus.api(f"STREAM.INFO.{stream}")
    return msgspec.json.decode(answer, type=_Info).state.last_seq


async def _stored(bus: Bus, stream: str, first: int, last: int) -> list[_Message]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def read(sequence: int) -> _Message:
        async with turns:
            answer = await bus.api(f"STREAM.MSG.GET.{stream}", {"seq": sequence})
            return msgspec.json.decode(answer, type=_Answer).message

    return list(await asyncio.gather(*map(read, range(first, last + 1))))


def steps_of(stored: list[_Message]) -> list[dict[str, float]]:
    """Return when each step of each message was stored, in seconds; each user has asked once."""
    steps: dict[str, dict[str, float]] = defaultdict(dict)
    talks: dict[str, str] = {}
    for message in sorted(stored, key=lambda one: one.time):
        step = ".".join(message.subject.split(".")[:2])
        named = msgspec.json.decode(message.data, type=_Named) if message.data else _Named()
        msgid = named.msgid or message.subject.rpartition(".")[2]
        if step == "chat.inbound":
            talks[msgid] = named.conv
        talk = named.conv or talks.get(msgid, "")
        steps[talk].setdefault(step, message.time.timestamp())
    return [one for one in steps.values() if one.keys() >= STEPS.keys()]


async def measure(seconds: float) -> str:
    """Ask at 100 a second, and read from the streams what was stored when."""
    options = Options(settings={"moderation": NO_LIMIT})
    with stage() as here:
        async with running(here.folder, broker_url=here.url, options=options) as system:
            await load(system, account="plain", seconds=3, users=64)
            bus = await bus_module.connect(Nats(url=here.url), "bench")
            before = [await _last(bus, stream) for stream in STREAMS]
            seen = await load(system, account="plain", seconds=seconds, rate=RATE, users=5000)
            stored = [
                message
                for stream, last in zip(STREAMS, before, strict=True)
                for message in await _stored(bus, stream, last + 1, await _last(bus, stream))
            ]
            await bus.close()
    whole = steps_of(stored)
    rows = []
    for earlier, later in pairwise(STEPS):
        took = sorted(one[later] - one[earlier] for one in whole)
        rows.append(
            (STEPS[later], *(f"{percentile(took, share):.2f}" for share in (0.5, 0.9, 0.99)))
        )
    p50, p99 = (percentile(seen.latencies, share) for share in (0.5, 0.99))
    return (
        markdown(("until it is stored, ms after the step before", "p50", "p90", "p99"), rows)
        + f"\n{len(whole)} of {seen.sent} messages at {RATE:.0f}/s; the whole callback took "
        f"{p50:.1f} ms (p50) and {p99:.1f} ms (p99).\n"
    )
