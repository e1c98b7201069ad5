"""Make the broker look like the topology, as often as one likes."""

import logging
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, json

from queqiao_common.bus import Bus, Refused
from queqiao_common.topology import BUCKETS, CONSUMERS, STREAMS, Bucket, Consumer, Stream

log = logging.getLogger(__name__)

NANOS = 1_000_000_000
NET = 3
"""How many deliveries the broker allows beyond our own limit before it gives up by itself."""
STREAM_NOT_FOUND = 10059


class _Info(Struct):
    config: dict[str, Any]


def stream_config(stream: Stream, *, replicas: int = 1, scale: float = 1.0) -> dict[str, Any]:
    """Return the JetStream configuration of a stream."""
    config: dict[str, Any] = {
        "name": stream.name,
        "subjects": list(stream.subjects),
        "retention": "limits",
        "storage": stream.storage,
        "discard": stream.discard,
        "max_age": int(stream.max_age * NANOS),
        "max_bytes": int(stream.max_bytes * scale),
        "duplicate_window": int(stream.duplicate_window * NANOS),
        "num_replicas": replicas,
        "allow_direct": True,
        "compression": "s2" if stream.storage == "file" else "none",
        "description": stream.keeps,
    }
    if stream.schedules:
        config |= {"allow_msg_schedules": True, "allow_msg_ttl": True, "allow_rollup_hdrs": True}
    return config


def bucket_config(bucket: Bucket, *, replicas: int = 1, scale: float = 1.0) -> dict[str, Any]:
    """Return the configuration of the stream beneath a bucket.

    Deleting by sequence stays allowed (`deny_delete` is off): purged and overwritten text remains
    in the files, and a user's right to be forgotten needs the real erasure.
    """
    max_age = bucket.ttl or 0.0
    return {
        "name": bucket.stream,
        "subjects": [f"$KV.{bucket.name}.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_age": int(max_age * NANOS),
        "max_bytes": int(bucket.max_bytes * scale),
        "max_msgs_per_subject": 1,
        "max_msg_size": bucket.max_value,
        "duplicate_window": int(min(max_age or 120.0, 120.0) * NANOS),
        "num_replicas": replicas,
        "allow_rollup_hdrs": True,
        "allow_direct": False,
        "allow_msg_ttl": True,
        "description": bucket.keeps,
    }


def consumer_config(consumer: Consumer[Any]) -> dict[str, Any]:
    """Return the JetStream configuration of a durable pull consumer."""
    return {
        "name": consumer.name,
        "durable_name": consumer.name,
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "filter_subject": consumer.reads.filter,
        "ack_wait": int(consumer.ack_wait * NANOS),
        "max_deliver": consumer.attempts + NET,
        "max_ack_pending": consumer.max_ack_pending,
        "max_waiting": 512,
        "description": f"{consumer.service}: {consumer.reads.means}",
    }


async def apply(
    bus: Bus,
    *,
    replicas: int = 1,
    scale: float = 1.0,
    consumers: Iterable[Consumer[Any]] = CONSUMERS,
) -> list[str]:
    """Create what is missing and update what differs; returns a line for each change.

    Nothing is ever deleted. Several processes may do this at once.

    Raises:
        Refused: a difference that JetStream cannot change in place (storage, retention).
    """
    wanted = [stream_config(stream, replicas=replicas, scale=scale) for stream in STREAMS]
    wanted += [bucket_config(bucket, replicas=replicas, scale=scale) for bucket in BUCKETS]
    changes = [line for config in wanted if (line := await _apply_stream(bus, config))]
    for consumer in consumers:
        await apply_consumer(bus, consumer)
    for line in changes:
        log.info("topology.changed", extra={"change": line})
    return changes


async def apply_consumer(bus: Bus, consumer: Consumer[Any]) -> None:
    """Create a durable consumer, or update its limits."""
    stream = consumer.reads.stream.name
    await bus.api(
        f"CONSUMER.DURABLE.CREATE.{stream}.{consumer.name}",
        {"stream_name": stream, "config": consumer_config(consumer)},
    )


async def _apply_stream(bus: Bus, config: dict[str, Any]) -> str:
    name = config["name"]
    try:
        current = json.decode(await bus.api(f"STREAM.INFO.{name}"), type=_Info).config
    except Refused as error:
        if error.err_code != STREAM_NOT_FOUND:
            raise
        await bus.api(f"STREAM.CREATE.{name}", config)
        return f"{name}: created"
    changed = sorted(
        key
        for key, value in config.items()
        if current.get(key) != value and (value or current.get(key))
    )
    if not changed:
        return ""
    await bus.api(f"STREAM.UPDATE.{name}", {**current, **config})
    return f"{name}: " + ", ".join(f"{key} {current.get(key)} -> {config[key]}" for key in changed)
