"""`docs/events.md`: what goes over the broker, and what it keeps."""

from typing import Any

from msgspec import Struct, inspect
from queqiao_common.events import EVENT_TYPES, Event
from queqiao_common.topology import (
    BUCKETS,
    CONSUMERS,
    DEAD_LETTERS,
    GIVEN,
    INBOUND,
    OFFERS,
    REPLICA,
    STREAMS,
    SUBJECT_OF,
    SUBJECTS,
    Bucket,
    Consumer,
    Stream,
    Subject,
)

from queqiao_cli.docs.shapes import doc, nested, shapes, table

MIB = 1024 * 1024
BROADCAST: dict[Subject[Any], str] = {
    INBOUND: "every context replica (that it is there)",
    OFFERS: "every ingress replica",
    GIVEN: "every egress replica",
    DEAD_LETTERS: "operators",
}
"""Who reads without a durable consumer."""


def page() -> str:
    """Write the page."""
    lines = [
        "# Events, streams, consumers, buckets",
        "",
        "Generated from `events.py` and `topology.py` by `make docs`: change those.",
        "",
        "## Subjects",
        "",
        *table(
            ("subject", "event", "published by", "consumed by", "meaning"),
            [_subject(one) for one in SUBJECTS],
        ),
        "",
        f"In no stream, and no event: `{_shown(REPLICA)}`, by which one replica asks another of",
        "its service for what only that one knows (egress: what became of a call). Whoever gives",
        "services users of their own at the broker lets egress publish and subscribe there.",
        "",
        "## Events",
        "",
        "JSON, one object each; `event` names the type. A field with a default may be absent, and",
        "a decoder ignores fields that it does not know.",
        "",
    ]
    for kind in [*EVENT_TYPES, *_parts()]:
        lines += _struct(kind)
    lines += ["## Streams", "", *table(_STREAM, [_stream(one) for one in STREAMS]), ""]
    lines += [
        "## Consumers",
        "",
        "One durable for one kind of work, shared by all replicas of a service.",
        "",
        *table(_CONSUMER, [_consumer(one) for one in CONSUMERS]),
        "",
        "## Buckets",
        "",
        *table(_BUCKET, [_bucket(one) for one in BUCKETS]),
        "",
    ]
    return "\n".join(lines)


def _subject(one: Subject[Event]) -> tuple[str, ...]:
    readers = [consumer.service for consumer in CONSUMERS if consumer.reads is one]
    if one in BROADCAST:
        readers.append(BROADCAST[one])
    return (
        f"`{_shown(one.pattern)}`",
        f"[{one.event.__name__}](#{one.event.__name__.lower()})",
        one.published_by,
        ", ".join(readers),
        one.means,
    )


def _shown(pattern: str) -> str:
    return pattern.replace("{", "<").replace("}", ">")


def _struct(kind: type[Struct]) -> list[str]:
    rows = [
        (f"`{one.name}`", one.type, one.default or "required", one.meaning) for one in shapes(kind)
    ]
    subject = SUBJECT_OF.get(kind) if issubclass(kind, Event) else None
    where = [f"On `{subject.filter}`.", ""] if subject else []
    return [
        f"### {kind.__name__}",
        "",
        doc(kind),
        "",
        *where,
        *table(("field", "type", "default", "meaning"), rows),
        "",
    ]


def _parts() -> list[type[Struct]]:
    """Return the Structs that events are made of, in the order in which they appear."""
    fields = [
        field for kind in EVENT_TYPES for field in getattr(inspect.type_info(kind), "fields", ())
    ]
    found = dict.fromkeys(part for field in fields for part in nested(field.type))
    return [part for part in found if part not in EVENT_TYPES]


_STREAM = ("stream", "subjects", "keeps", "for", "at most", "repeats dropped for", "when full")


def _stream(one: Stream) -> tuple[str, ...]:
    full = "the publisher is told" if one.discard == "new" else "the oldest goes"
    return (
        f"`{one.name}`",
        ", ".join(f"`{subject}`" for subject in one.subjects),
        one.keeps + (" (in memory)" if one.storage == "memory" else ""),
        spoken(one.max_age),
        f"{one.max_bytes // MIB} MiB",
        spoken(one.duplicate_window),
        full,
    )


_CONSUMER = ("durable", "service", "reads", "`ack_wait`", "attempts", "at once", "unacknowledged")


def _consumer(one: Consumer[Event]) -> tuple[str, ...]:
    return (
        f"`{one.name}`",
        one.service,
        f"`{one.reads.filter}`",
        spoken(one.ack_wait),
        str(one.attempts),
        f"{one.slots} per replica",
        f"{one.max_ack_pending} in all",
    )


_BUCKET = ("bucket", "key", "keeps", "for", "a value at most", "all at most", "written by")


def _bucket(one: Bucket) -> tuple[str, ...]:
    return (
        f"`{one.name}`",
        f"`{one.key}`",
        one.keeps,
        "good" if one.ttl is None else spoken(one.ttl),
        f"{one.max_value // 1024} KiB",
        f"{one.max_bytes // MIB} MiB",
        ", ".join(one.written_by),
    )


def spoken(seconds: float) -> str:
    """Write a duration in the largest unit that divides it."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
