"""A lean WeChat for measuring: many users who call back, read the reply, and ask again.

As cheap as possible, since it shares two cores with what it measures: raw sockets, prepared
requests, no validation. (The simulator is the place for fidelity.) `python -m bench.load` runs it
as a process of its own and prints what it saw as JSON.
"""

import argparse
import asyncio
import hashlib
import itertools
import os
import sys
import time
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct

from bench.sink import serve

TOKEN = "testbed_token"  # noqa: S105 - of the test bed
CROWD = 5000
"""Users who take turns: conversations stay as short as they are in life."""
DELIVERIES = 3
"""How often WeChat delivers a message whose connection breaks (protocol reference 4.1)."""
EXCUSES = ("没能答上来", "请稍后再发", "请稍等一下")
"""What is said where there is no answer (the defaults of the settings)."""
TEXT = "请问你们的营业时间是几点到几点？周末也开门吗？"


class Seen(Struct):
    """What the load saw: latencies in seconds, sorted.

    `firsts` and `lasts` are, of users whose replies came by API or in answer to the callback, the
    seconds until the first and until the last of them. `cpu` are the seconds that the load itself
    was at work, `idle` those in which a core had nothing to do.
    """

    sent: int
    replied: int
    failed: int
    elapsed: float
    latencies: list[float]
    firsts: list[float] = []
    lasts: list[float] = []
    cpu: float = 0.0
    idle: float = 0.0


def idle_seconds() -> float:
    """Return the time that the cores have had nothing to do, waiting for the disk among it."""
    idle, waiting = Path("/proc/stat").read_text().split(maxsplit=6)[4:6]
    return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")


def openid(user: int) -> str:
    """Return the openid of a user."""
    return f"oBENCH{user:022d}"


def request(account: str, user: int, msgid: int, text: str = TEXT) -> bytes:
    """Return one signed plaintext callback as HTTP bytes."""
    now = str(int(time.time()))
    nonce = str(msgid)
    signature = hashlib.sha1("".join(sorted((TOKEN, now, nonce))).encode()).hexdigest()  # noqa: S324
    body = (
        f"<xml><ToUserName><![CDATA[gh_bench]]></ToUserName>"
        f"<FromUserName><![CDATA[{openid(user)}]]></FromUserName><CreateTime>{now}</CreateTime>"
        f"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{text}{msgid}]]></Content>"
        f"<MsgId>{msgid}</MsgId></xml>"
    ).encode()
    head = (
        f"POST /wechat/{account}?signature={signature}&timestamp={now}&nonce={nonce} HTTP/1.1\r\n"
        f"Host: bench\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    return head + body


class Line:
    """One keep-alive connection."""

    def __init__(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.port = port
        self._reader, self._writer = reader, writer
        self.is_last = False  # the answer said that there will be no other

    async def ask(self, payload: bytes) -> bytes:
        """Send a prepared request and return the body of a 200; anything else is empty."""
        self._writer.write(payload)
        head = await self._reader.readuntil(b"\r\n\r\n")
        self.is_last = b"connection: close" in head.lower()
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body = await self._reader.readexactly(length) if length else b""
        return body if head.startswith(b"HTTP/1.1 200") else b""

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def dial(port: int) -> Line:
    """Connect to ingress."""
    return Line(port, *await asyncio.open_connection("127.0.0.1", port))


class Load:
    """Users of one account; each waits for the reply before asking again."""

    def __init__(self, account: str, ports: list[int], text: str = TEXT) -> None:
        self._account, self._ports, self._text = account, ports, text
        self._idle: list[Line] = []
        self._msgid = time.time_ns() // 1000
        self._dialled = 0
        self.latencies: list[float] = []
        self.failed = self.sent = self.broken = 0
        self.asked: dict[str, float] = {}
        self.heard: dict[str, list[float]] = {}

    async def ask(self, user: int) -> None:
        """One question of one user, until its passive reply (or its `success`)."""
        self._msgid += 1
        self.sent += 1
        payload = request(self._account, user, self._msgid, self._text)
        began = self.asked[openid(user)] = time.perf_counter()
        line = None
        for _ in range(DELIVERIES):
            try:
                line = self._idle.pop() if self._idle else await self._dial()
                body = await line.ask(payload)
                break
            except (OSError, asyncio.IncompleteReadError):
                self.broken += 1
                self._hang_up(line)
        else:
            self.failed += 1
            return
        if line.is_last:
            line.close()
        else:
            self._idle.append(line)
        if b"<Content>" in body:
            self.latencies.append(time.perf_counter() - began)
            self.hear(openid(user), body.decode(), time.perf_counter())
        else:
            self.failed += 1

    def hear(self, user: str, text: str, now: float) -> None:
        """Take note of a reply, if it is one: neither an apology nor a request for patience."""
        if not any(excuse in text for excuse in EXCUSES):
            self.heard.setdefault(user, []).append(now)

    def waits(self) -> tuple[list[float], list[float]]:
        """Return how long users waited for their first and for their last reply, sorted."""
        waits = [
            (times[0] - self.asked[user], times[-1] - self.asked[user])
            for user, times in self.heard.items()
        ]
        return sorted(first for first, _ in waits), sorted(last for _, last in waits)

    def _hang_up(self, broken: Line | None) -> None:
        """Forget the other connections to where one has ended: they have as well."""
        if broken is not None:
            self._idle = [one for one in self._idle if one.port != broken.port]

    async def _dial(self) -> Line:
        self._dialled += 1
        return await dial(self._ports[self._dialled % len(self._ports)])

    async def closed(self, users: int, seconds: float) -> float:
        """Keep `users` questions in flight, each another user's; returns the seconds it took."""
        stop = time.perf_counter() + seconds
        began = time.perf_counter()

        askers = itertools.cycle(range(CROWD))

        async def live() -> None:
            while time.perf_counter() < stop:
                await self.ask(next(askers))

        await asyncio.gather(*(live() for _ in range(users)))
        return time.perf_counter() - began

    async def opened(
        self, rate: float, seconds: float, *, users: int = 5000, patience: float = 20
    ) -> float:
        """Begin `rate` questions a second, whatever has become of the earlier ones."""
        began = time.perf_counter()
        tasks = set()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            task = asyncio.create_task(self.ask(number % users))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        elapsed = time.perf_counter() - began
        if tasks:
            await asyncio.wait(tasks, timeout=patience)
        return elapsed


async def main() -> None:
    """Run one load and print what it saw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--account", default="plain")
    parser.add_argument("--ports", required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--sink", type=int, default=0, help="port of a WeChat API")
    parser.add_argument(
        "--linger", type=float, default=0, help="seconds to wait for replies by API"
    )
    given = parser.parse_args()
    load = Load(given.account, [int(port) for port in given.ports.split(",")], given.text)
    if given.sink:
        await serve(given.sink, load.hear)
    cpu, idle = time.process_time(), idle_seconds()
    if given.rate:
        elapsed = await load.opened(given.rate, given.seconds, users=given.users)
    else:
        elapsed = await load.closed(given.users, given.seconds)
    cpu, idle = time.process_time() - cpu, idle_seconds() - idle
    await asyncio.sleep(given.linger)
    firsts, lasts = load.waits()
    seen = Seen(
        sent=load.sent,
        replied=len(load.latencies),
        failed=load.failed,
        elapsed=elapsed,
        latencies=sorted(load.latencies),
        firsts=firsts,
        lasts=lasts,
        cpu=cpu,
        idle=idle,
    )
    sys.stdout.buffer.write(msgspec.json.encode(seen))


if __name__ == "__main__":
    uvloop.run(main())
