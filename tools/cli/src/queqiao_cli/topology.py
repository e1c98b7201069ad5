"""`queqiao topology`: what the broker shall hold, and how what it holds differs."""

import argparse
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct
from queqiao_common import provision
from queqiao_common.answers import Refused
from queqiao_common.bus import Bus
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.topology import BUCKETS, CONSUMERS, DURABLES, STREAMS

from queqiao_cli.dead import aligned, spoken
from queqiao_cli.stored import STREAM_NOT_FOUND, opened
from queqiao_cli.terminal import say

CONSUMER_NOT_FOUND = 10014
Configuration = dict[str, Any]


class _Info(Struct):
    config: Configuration


async def apply(options: argparse.Namespace) -> int:
    """Create what is missing and update what differs."""
    async with opened(options) as (config, bus):
        changes = await provision.apply(
            bus, replicas=config.nats.replicas, scale=config.nats.stream_bytes
        )
    say(*changes or ["streams and buckets were as they shall be"], "consumers: applied")
    return 0


async def show(options: argparse.Namespace) -> int:
    """Print the table, and what differs where a broker answers; nothing is changed."""
    say(*table())
    try:
        async with opened(options) as (config, bus):
            found = await differing(
                bus, replicas=config.nats.replicas, scale=config.nats.stream_bytes
            )
    except BrokerUnavailable as error:
        say("", f"not compared: {error}")
        return 0
    say("", *found or [f"the broker at {config.nats.url} is as it shall be"])
    return 0


def table() -> list[str]:
    """Return the streams, buckets and consumers that the code declares."""
    streams = [
        (one.name, ", ".join(one.subjects), one.storage, spoken(one.max_age), size(one.max_bytes))
        for one in STREAMS
    ]
    buckets = [
        (one.name, one.key, ", ".join(one.written_by), age(one.ttl), size(one.max_bytes))
        for one in BUCKETS
    ]
    consumers = [
        (
            one.name,
            one.reads.filter,
            one.reads.stream.name,
            f"{one.ack_wait:g} s",
            str(one.attempts),
        )
        for one in CONSUMERS
    ]
    return [
        *aligned([("STREAM", "SUBJECTS", "STORAGE", "KEPT FOR", "SIZE"), *streams]),
        "",
        *aligned([("BUCKET", "KEY", "WRITTEN BY", "KEPT FOR", "SIZE"), *buckets]),
        "",
        *aligned([("CONSUMER", "READS", "STREAM", "ACK WAIT", "ATTEMPTS"), *consumers]),
    ]


def size(amount: int) -> str:
    """Return a size in MiB."""
    return f"{amount // 1024**2} MiB"


def age(seconds: float | None) -> str:
    """Return how long something is kept."""
    return "for good" if seconds is None else spoken(seconds)


async def differing(bus: Bus, *, replicas: int, scale: float) -> list[str]:
    """Compare the broker with the declaration, line by line."""
    streams = [provision.stream_config(one, replicas=replicas, scale=scale) for one in STREAMS]
    streams += [provision.bucket_config(one, replicas=replicas, scale=scale) for one in BUCKETS]
    lines: list[str] = []
    for wanted in streams:
        name = wanted["name"]
        lines += differences(name, wanted, await _current(bus, f"STREAM.INFO.{name}"))
    for one in DURABLES:
        verb = f"CONSUMER.INFO.{one.reads.stream.name}.{one.name}"
        lines += differences(one.name, provision.consumer_config(one), await _current(bus, verb))
    return lines


def differences(name: str, wanted: Configuration, current: Configuration | None) -> Iterable[str]:
    """Say how one stream or consumer is not what it shall be; an absent value is an empty one."""
    if current is None:
        return [f"{name}: missing"]
    return [
        f"{name}: {key} is {current.get(key)}, shall be {value}"
        for key, value in sorted(wanted.items())
        if current.get(key) != value and (value or current.get(key))
    ]


async def _current(bus: Bus, verb: str) -> Configuration | None:
    try:
        return msgspec.json.decode(await bus.api(verb), type=_Info).config
    except Refused as error:
        if error.err_code in {STREAM_NOT_FOUND, CONSUMER_NOT_FOUND}:
            return None
        raise
