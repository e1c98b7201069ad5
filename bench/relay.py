"""The bare relay: fetch, decode, encode, publish, ack, five times, and nothing else.

It is the limit that this broker, this client library and this machine set; everything Queqiao does
is measured as a share of it. Each hop is a process, as each service is. With `python -m
bench.relay HOP` one hop runs.
"""

import asyncio
import sys
import time
from dataclasses import dataclass

import msgspec
import uvloop
from queqiao_common import bus as bus_module
from queqiao_common import settings
from queqiao_common.answers import Raw
from queqiao_common.bus import Bus
from queqiao_common.events import InboundMessage
from queqiao_common.pull import Puller
from queqiao_common.settings import Nats

HOPS = 5
STREAM = "RELAY"
WIDTH = 256

decode = msgspec.json.Decoder(InboundMessage).decode
encode = msgspec.json.Encoder().encode


async def provision(bus: Bus, *, persistence: str = "default") -> None:
    """Create the relay's stream, with what Queqiao's own streams have, and its consumers."""
    await bus.api(
        f"STREAM.CREATE.{STREAM}",
        {
            "name": STREAM,
            "subjects": ["relay.>"],
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_bytes": 2 * 1024**3,
            "duplicate_window": 900 * 10**9,
            "num_replicas": 1,
            "compression": "none",
            "persist_mode": persistence,
        },
    )
    for hop in range(HOPS + 1):
        await bus.api(
            f"CONSUMER.DURABLE.CREATE.{STREAM}.hop-{hop}",
            {
                "stream_name": STREAM,
                "config": {
                    "durable_name": f"hop-{hop}",
                    "ack_policy": "explicit",
                    "filter_subject": f"relay.{hop}",
                    "ack_wait": 10 * 10**9,
                    "max_ack_pending": 2000,
                },
            },
        )


async def relay(url: str, hop: int) -> None:
    """Pass every message on to the next hop, for ever."""
    bus = await bus_module.connect(Nats(url=url), f"relay-{hop}")

    async def pass_on(raw: Raw) -> None:
        message = decode(raw.data)
        ack = await bus.publish(f"relay.{hop + 1}", encode(message), event_id=f"{hop}:{message.id}")
        if ack.seq:
            await bus.tell(raw.reply, b"+ACK")
        puller.done()

    puller = _puller(bus, hop, pass_on)
    await puller.run()


def _puller(bus: Bus, hop: int, call: object) -> Puller:
    def start(raw: Raw) -> None:
        task = asyncio.create_task(call(raw))  # type: ignore[operator]  # an async function
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    tasks: set[asyncio.Task[None]] = set()
    return Puller(bus, stream=STREAM, consumer=f"hop-{hop}", slots=WIDTH, handle=start)


@dataclass(frozen=True)
class Passed:
    """What a run through the relay showed; seconds."""

    rate: float
    latencies: tuple[float, ...]


async def measure(url: str, *, seconds: float, rate: float | None, width: int = 64) -> Passed:
    """Send messages through the five hops and time each from publishing to arrival.

    With `rate` that many a second are begun; without, `width` are kept in flight.
    """
    bus = await bus_module.connect(Nats(url=url), "relay-load")
    began: dict[str, float] = {}
    latencies: list[float] = []
    room = asyncio.Semaphore(width)

    async def arrive(raw: Raw) -> None:
        start = began.pop(decode(raw.data).id, None)
        if start is not None:
            latencies.append(time.perf_counter() - start)
            room.release()
        await bus.tell(raw.reply, b"+ACK")
        puller.done()

    async def send(number: int) -> None:
        message = InboundMessage(
            id=f"{start:.6f}-{number}",
            account="main",
            conv="c_bench",
            openid="oBENCH",
            msgid=str(number),
            received_ms=0,
            text="一二三四五六七八九十" * 3,
        )
        began[message.id] = time.perf_counter()
        await bus.publish("relay.0", encode(message), event_id=message.id)

    puller = _puller(bus, HOPS, arrive)
    pulling = asyncio.create_task(puller.run())
    start = time.perf_counter()
    tasks: set[asyncio.Task[None]] = set()
    number = 0
    while time.perf_counter() - start < seconds:
        if rate is None:
            await room.acquire()
        else:
            await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        number += 1
        task = asyncio.create_task(send(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    elapsed = time.perf_counter() - start
    done = len(latencies)
    await asyncio.sleep(0.5)
    puller.stop()
    await pulling
    await bus.close()
    return Passed(done / elapsed, tuple(sorted(latencies)))


if __name__ == "__main__":
    uvloop.run(relay(settings.environment("QUEQIAO_NATS_URL"), int(sys.argv[1])))
