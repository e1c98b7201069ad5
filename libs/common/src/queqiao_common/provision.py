"""Make the broker look like the topology, as often as one likes.

What an older release created is brought up to date in place and under load. Nothing is deleted,
and no limit is narrowed where that would drop what is stored: a replica of the older release, when
it starts once more during an upgrade, must not undo what the newer one did.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct, json

from queqiao_common.answers import STREAM_NOT_FOUND, Refused
from queqiao_common.bus import Bus
from queqiao_common.errors import PermanentError, TransientError
from queqiao_common.topology import (
    BUCKETS,
    DURABLES,
    STORES,
    STREAMS,
    Bucket,
    Consumer,
    Store,
    Stream,
)

log = logging.getLogger(__name__)

STARTING = 120.0
"""Seconds that a broker that is away, slow, or has no leader yet, is waited for at the start."""
TRY_AGAIN = 1.0

NANOS = 1_000_000_000
NET = 3
"""How many deliveries the broker allows beyond our own limit before it gives up by itself."""
CONSUMER_NOT_FOUND = 10014
STREAM_IS_OTHERWISE = 10058
"""What a stream's creation is refused with when there is one of that name, set up differently."""
HOW = "see docs/operations.md, 'What cannot be changed in place'"

Config = dict[str, Any]


class Unchangeable(PermanentError):  # noqa: N818 - named for what is the case
    """JetStream holds something that cannot become what it shall be; names both."""


class _State(Struct, frozen=True):
    bytes: int = 0


class _Info(Struct, frozen=True):
    config: Config
    state: _State = _State()


def stream_config(stream: Stream, *, replicas: int = 1, scale: float = 1.0) -> Config:
    """Return the JetStream configuration of a stream."""
    config: Config = {
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
        # Not "s2": a block that was cut back after a crash is then written on as if it were not
        # compressed, and cannot be read any more (ADR 0002).
        "compression": "none",
        "description": stream.keeps,
    }
    if stream.schedules:
        config |= {"allow_msg_schedules": True, "allow_msg_ttl": True, "allow_rollup_hdrs": True}
    return config


def bucket_config(bucket: Bucket, *, replicas: int = 1, scale: float = 1.0) -> Config:
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


def store_config(store: Store, *, replicas: int = 1, scale: float = 1.0) -> Config:
    """Return the configuration of the stream beneath an object store."""
    max_age = store.ttl or 0.0
    return {
        "name": store.stream,
        "subjects": [f"$O.{store.name}.C.>", f"$O.{store.name}.M.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_age": int(max_age * NANOS),
        "max_bytes": int(store.max_bytes * scale),
        "duplicate_window": int(120.0 * NANOS),
        "num_replicas": replicas,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
        "description": store.keeps,
    }


def consumer_config(consumer: Consumer[Any]) -> Config:
    """Return the JetStream configuration of a durable pull consumer."""
    return {
        "name": consumer.name,
        "durable_name": consumer.name,
        "ack_policy": "explicit",
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
    consumers: Iterable[Consumer[Any]] = DURABLES,
) -> list[str]:
    """Create what is missing and update what differs; returns a line for each change.

    All streams are compared before any is changed. Several processes may do this at once.

    Raises:
        BrokerUnavailable: it is away, or has no leader yet; nothing is known of what was changed.
        Unchangeable: a difference that JetStream cannot change in place (storage, retention).
        Refused: a change that this broker does not allow (more replicas than it has servers).
    """
    wanted = [stream_config(stream, replicas=replicas, scale=scale) for stream in STREAMS]
    wanted += [bucket_config(bucket, replicas=replicas, scale=scale) for bucket in BUCKETS]
    wanted += [store_config(store, replicas=replicas, scale=scale) for store in STORES]
    claimed = {subject for config in wanted for subject in config["subjects"]}
    compared = [(config, await _info(bus, config["name"])) for config in wanted]
    for config, info in compared:
        if info is not None:
            _check("stream", config["name"], info.config, config)
    lines = [
        line
        for config, info in compared
        async for line in _apply_stream(bus, config, info, claimed=claimed)
    ]
    created = {config["name"] for config, info in compared if info is None}
    for consumer in consumers:
        lines += await apply_consumer(bus, consumer, from_start=_stream_of(consumer) in created)
    for line in lines:
        log.info("topology.changed", extra={"change": line})
    return lines


async def apply_patiently(bus: Bus, *, replicas: int = 1, scale: float = 1.0) -> list[str]:
    """Do the same with a broker that may be away, or without a leader, for at most `STARTING` s."""
    stop = time.monotonic() + STARTING
    while True:
        try:
            return await apply(bus, replicas=replicas, scale=scale)
        except TransientError as error:
            if time.monotonic() >= stop:
                raise
            log.warning("topology.unreachable", extra={"error": str(error)})
            await asyncio.sleep(TRY_AGAIN)


async def apply_consumer(
    bus: Bus, consumer: Consumer[Any], *, from_start: bool = False
) -> list[str]:
    """Create a durable consumer, or update its limits.

    One that is created on a stream which is not new reads only as far back as the stream recognises
    repeats: from the stream's beginning it would answer again what was answered days ago.

    Raises:
        Unchangeable: a difference that JetStream cannot change in place.
    """
    wanted, stream = consumer_config(consumer), _stream_of(consumer)
    current = await _consumer(bus, consumer)
    if current is None:
        start = {} if from_start else _since(consumer.reads.stream.duplicate_window)
        try:
            await _put_consumer(bus, stream, wanted | start)
        except Refused:
            current = await _consumer(bus, consumer)  # another process was first
            if current is None:
                raise
        else:
            return [f"{consumer.name}: created"]
    changed = list(_differing(current, wanted))
    if not changed:
        return []
    try:
        await _put_consumer(bus, stream, current | wanted)
    except Refused as error:
        raise Unchangeable(_refusal("consumer", consumer.name, current, wanted, error)) from error
    return [f"{consumer.name}: {_said(current, wanted, changed)}"]


async def _apply_stream(
    bus: Bus, wanted: Config, info: _Info | None, *, claimed: Collection[str]
) -> AsyncIterator[str]:
    name = wanted["name"]
    if info is None:
        try:
            await bus.api(f"STREAM.CREATE.{name}", wanted)
        except Refused as error:
            if error.err_code != STREAM_IS_OTHERWISE:
                raise
            info = await _info(bus, name)  # a process of another release was first
            if info is None:
                raise
            _check("stream", name, info.config, wanted)
        else:
            yield f"{name}: created"
            return
    current = info.config
    goal, kept = _widened(current, wanted, stored=info.state.bytes, claimed=claimed)
    for key in kept:
        yield (f"{name}: {key} stays {current.get(key)}: {wanted[key]} would drop what is stored")
    changed = list(_differing(current, goal))
    if changed:
        try:
            await bus.api(f"STREAM.UPDATE.{name}", current | goal)
        except Refused as error:
            raise Unchangeable(_refusal("stream", name, current, goal, error)) from error
        yield f"{name}: {_said(current, goal, changed)}"


def _widened(
    current: Config, wanted: Config, *, stored: int, claimed: Collection[str]
) -> tuple[Config, list[str]]:
    """Return the wanted configuration without what would take something away, and what that was.

    A subject that no stream of ours claims any more stays with its stream: publishers of the older
    release may still use it.
    """
    goal = dict(wanted)
    held = current.get("subjects", [])
    mine = [*wanted["subjects"], *(one for one in held if one not in claimed)]
    goal["subjects"] = held if set(held) == set(mine) else mine
    kept = []
    if wanted["max_age"] and not 0 < current.get("max_age", 0) <= wanted["max_age"]:
        kept.append("max_age")
    if wanted["discard"] == "old" and wanted["max_bytes"] < stored:
        kept.append("max_bytes")
    for key in kept:
        goal[key] = current[key]
    return goal, kept


def _differing(current: Config, wanted: Config) -> Iterator[str]:
    """Name the settings that differ; an absent value is an empty one."""
    for key, value in sorted(wanted.items()):
        before = current.get(key)
        if before != value and (value or before):
            yield key


def _check(kind: str, name: str, current: Config, wanted: Config) -> None:
    """Refuse, before anything is changed, what JetStream is known to refuse."""
    fixed = [key for key in ("storage",) if current.get(key) != wanted[key]]
    policies = {current.get("retention"), wanted["retention"]}
    if "workqueue" in policies and len(policies) > 1:
        fixed.append("retention")
    if fixed:
        raise Unchangeable(
            f"{kind} {name}: {_said(current, wanted, fixed)}: JetStream cannot change this in "
            f"place; {HOW}"
        )


def _refusal(kind: str, name: str, current: Config, wanted: Config, error: Refused) -> str:
    changed = _said(current, wanted, list(_differing(current, wanted)))
    return f"{kind} {name}: {changed}: JetStream refused ({error.reason}); {HOW}"


def _said(current: Config, wanted: Config, keys: Iterable[str]) -> str:
    return ", ".join(f"{key} {current.get(key)} -> {wanted[key]}" for key in keys)


def _stream_of(consumer: Consumer[Any]) -> str:
    return str(consumer.reads.stream.name)


def _since(seconds: float) -> Config:
    start = datetime.now(UTC) - timedelta(seconds=seconds)
    return {"deliver_policy": "by_start_time", "opt_start_time": start.isoformat()}


async def _info(bus: Bus, stream: str) -> _Info | None:
    return await _look(bus, f"STREAM.INFO.{stream}", STREAM_NOT_FOUND)


async def _consumer(bus: Bus, consumer: Consumer[Any]) -> Config | None:
    verb = f"CONSUMER.INFO.{_stream_of(consumer)}.{consumer.name}"
    info = await _look(bus, verb, CONSUMER_NOT_FOUND)
    return None if info is None else info.config


async def _look(bus: Bus, verb: str, absent: int) -> _Info | None:
    try:
        return json.decode(await bus.api(verb), type=_Info)
    except Refused as error:
        if error.err_code != absent:
            raise
        return None


async def _put_consumer(bus: Bus, stream: str, config: Config) -> None:
    await bus.api(
        f"CONSUMER.DURABLE.CREATE.{stream}.{config['name']}",
        {"stream_name": stream, "config": config},
    )
