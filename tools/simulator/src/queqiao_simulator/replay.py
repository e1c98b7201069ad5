"""Plays a recording of pushes again, at any speed, through a simulator or straight to a bot.

A simulator is asked to push each message anew: new MsgIds, fresh signatures, deliveries and
timeouts as ever, and the chat shows it. A bot's callback gets what was recorded, byte for byte:
old timestamps and MsgIds it may have seen, so a bot that deduplicates will keep silent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import msgspec
from msgspec import Struct

from queqiao_simulator.recording import Recorded

SIMULATOR = "http://127.0.0.1:8090"
TIMEOUT = 10.0

Post: TypeAlias = Callable[[Recorded], Awaitable[bool]]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

_line = msgspec.json.Decoder(Recorded).decode
NOT_SAID = frozenset(
    {"ToUserName", "FromUserName", "CreateTime", "MsgType", "MsgId", "Event", "EventKey", "AgentID"}
)
REMADE = frozenset(
    {"PicUrl", "MediaId", "MediaId16K", "Format", "Recognition", "ThumbMediaId", "ThumbUrl"}
)
"""What the simulator makes anew: old media will have expired."""


class Summary(Struct, frozen=True):
    """What became of a recording."""

    played: int = 0
    failed: int = 0
    seconds: float = 0.0


def read(path: Path) -> list[Recorded]:
    """Read a recording.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is not a recorded push; the text names the line.
    """
    with path.open("rb") as lines:
        return parse(lines)


def parse(lines: Iterable[bytes]) -> list[Recorded]:
    """Read the lines of a recording; empty ones are skipped.

    Raises:
        ValueError: a line is not a recorded push; the text names the line.
    """
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_line(line))
        except msgspec.DecodeError as error:
            raise ValueError(f"line {number}: {error}") from error
    return found


def pauses(recording: list[Recorded], speed: float) -> list[float]:
    """Seconds to wait before each push; `speed` 2 is twice as fast, 0 waits for nothing.

    Raises:
        ValueError: `speed` is negative.
    """
    if speed < 0:
        raise ValueError(f"cannot play at speed {speed}: it is negative")
    if not recording or not speed:
        return [0.0] * len(recording)
    times = [recording[0].at, *(one.at for one in recording)]
    return [max(0.0, after - before) / speed for before, after in pairwise(times)]


async def paced(
    recording: list[Recorded], speed: float, sleep: Sleep = asyncio.sleep
) -> AsyncIterator[Recorded]:
    """Yield each push when it is due."""
    for push, pause in zip(recording, pauses(recording, speed), strict=True):
        if pause:
            await sleep(pause)
        yield push


async def play(
    recording: list[Recorded], post: Post, *, speed: float = 1.0, sleep: Sleep = asyncio.sleep
) -> Summary:
    """Post each push when it is due, without waiting for the answers of those before it."""
    posted = [
        asyncio.create_task(_posted(post, push)) async for push in paced(recording, speed, sleep)
    ]
    results = await asyncio.gather(*posted)
    lasted = recording[-1].at - recording[0].at if recording else 0.0
    return Summary(sum(results), len(results) - sum(results), lasted / speed if speed else 0.0)


async def _posted(post: Post, push: Recorded) -> bool:
    try:
        return await post(push)
    except httpx.HTTPError:
        return False


def act_of(push: Recorded) -> tuple[str, dict[str, Any]]:
    """The control call that makes a user do again what a push says: its path and body."""
    fields = push.fields
    common: dict[str, Any] = {"account": push.account, "user": push.user}
    if "msgtype" in fields:  # an AI bot's, or customer service's
        return _act_in_json(fields, common)
    more = {name: value for name, value in fields.items() if name not in NOT_SAID | REMADE}
    if fields.get("MsgType") == "event":
        key = {"event_key": fields["EventKey"]} if "EventKey" in fields else {}
        return "/control/events", {**common, "event": fields["Event"], **key, **more}
    kind = fields.get("MsgType", "text")
    text = {"text": more.pop("Content")} if "Content" in more else {}
    return "/control/messages", {**common, "kind": kind, **text, **more}


def _act_in_json(fields: Mapping[str, Any], common: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    kind = fields["msgtype"]
    group = {"chatid": fields["chatid"]} if "chatid" in fields else {}
    if kind == "event":
        event = fields["event"]
        name = event.get("eventtype") or event.get("event_type", "")
        return "/control/events", {**common, **group, "event": name}
    text = fields.get(kind, {}).get("content", "")
    return "/control/messages", {**common, "kind": kind, "text": text, **group}


def through_simulator(http: httpx.AsyncClient, url: str) -> Post:
    """Have a simulator push each message anew."""

    async def post(push: Recorded) -> bool:
        path, body = act_of(push)
        return (await http.post(url.rstrip("/") + path, json=body)).is_success

    return post


def to_callback(http: httpx.AsyncClient, url: str) -> Post:
    """Post each push to a bot's callback, exactly as it was recorded."""

    async def post(push: Recorded) -> bool:
        headers = {"Content-Type": push.content_type}
        answer = await http.post(f"{url}?{push.query}", content=push.body, headers=headers)
        return answer.is_success

    return post


async def replay(
    path: Path, *, speed: float = 1.0, to: str = SIMULATOR, exactly: bool = False
) -> Summary:
    """Play a file: the whole of the command `queqiao replay`.

    `to` is a simulator's address or, with `exactly`, a bot's callback.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is not a recorded push, or `speed` is negative.
    """
    recording = read(path)
    async with httpx.AsyncClient(timeout=TIMEOUT) as http:
        post = to_callback(http, to) if exactly else through_simulator(http, to)
        return await play(recording, post, speed=speed)
