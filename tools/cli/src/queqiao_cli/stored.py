"""Events and documents as they lie in their streams: read one after another, erased for good."""

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime

import msgspec
from msgspec import Struct
from queqiao_common.answers import Refused
from queqiao_common.bus import Bus, connect
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.kv import NOT_FOUND
from queqiao_common.settings import Config, load

STREAM_NOT_FOUND = 10059
PATIENCE = 3.0


class Entry(Struct, frozen=True):
    """One stored message: `seq` is its place in the stream, for ever."""

    subject: str
    seq: int
    time: datetime
    data: bytes = b""


class _Found(Struct):
    message: Entry


_decode = msgspec.json.Decoder(_Found).decode


@contextlib.asynccontextmanager
async def opened(options: argparse.Namespace) -> AsyncIterator[tuple[Config, Bus]]:
    """Read the configuration and connect to its broker.

    Raises:
        SettingsError: the file is wrong.
        BrokerUnavailable: nobody answers.
    """
    config = load(options.config)
    try:
        async with asyncio.timeout(PATIENCE):  # a service waits for its broker, a person does not
            bus = await connect(config.nats, "queqiao-cli")
    except TimeoutError:
        raise BrokerUnavailable(f"no broker at {config.nats.url}") from None
    try:
        yield config, bus
    finally:
        await bus.close()


async def entries(bus: Bus, stream: str, subject: str) -> AsyncIterator[Entry]:
    """Walk what a stream holds on a subject (wildcards allowed), oldest first.

    A stream that does not exist holds nothing.
    """
    after = 0
    while (entry := await next_entry(bus, stream, subject, after=after)) is not None:
        yield entry
        after = entry.seq


async def next_entry(bus: Bus, stream: str, subject: str, *, after: int = 0) -> Entry | None:
    """Return the first entry on a subject that was stored after a sequence."""
    return await _get(bus, stream, {"seq": after + 1, "next_by_subj": subject})


async def entry_at(bus: Bus, stream: str, sequence: int) -> Entry | None:
    """Return the entry with this sequence."""
    return await _get(bus, stream, {"seq": sequence})


async def _get(bus: Bus, stream: str, body: dict[str, object]) -> Entry | None:
    try:
        return _decode(await bus.api(f"STREAM.MSG.GET.{stream}", body)).message
    except Refused as error:
        if error.err_code in {NOT_FOUND, STREAM_NOT_FOUND}:
            return None
        raise


async def erase(bus: Bus, stream: str, sequence: int) -> None:
    """Remove an entry and overwrite its bytes: a purge or a marker would leave them on disk.

    An entry that somebody else, or the stream's own limits, removed first is no error.
    """
    try:
        await bus.api(f"STREAM.MSG.DELETE.{stream}", {"seq": sequence, "no_erase": False})
    except Refused:
        if await entry_at(bus, stream, sequence) is not None:
            raise
