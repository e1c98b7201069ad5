"""What the object store `knowledge` holds, without fetching it."""

from collections.abc import Mapping

from queqiao_common.bus import Bus
from queqiao_common.knowledge import META_SUBJECT, ObjectMeta, read_meta
from queqiao_common.topology import KNOWLEDGE

from queqiao_cli.stored import entries


async def listed(bus: Bus) -> dict[str, ObjectMeta]:
    """Return what the broker tells of each document, by its key."""
    metas = [
        read_meta(entry.data)
        async for entry in entries(bus, KNOWLEDGE.stream, f"{META_SUBJECT}>")
        if entry.data
    ]
    return {meta.name: meta for meta in sorted(metas, key=lambda one: one.name) if not meta.deleted}


async def digests(bus: Bus) -> Mapping[str, str]:
    """Return the digests of all documents by their keys."""
    return {key: meta.digest for key, meta in (await listed(bus)).items()}
