"""A lean WeChat for measuring: many users who call back, read the reply, and ask again.

As cheap as possible, since it shares two cores with what it measures: raw sockets, prepared
requests, no validation. (The simulator is the place for fidelity.) `python -m bench.load` runs it
as a process of its own and prints what it saw as JSON.
"""

import argparse
import asyncio
import hashlib
import sys
import time

import msgspec
import uvloop
from msgspec import Struct

TOKEN = "testbed_token"  # noqa: S105 - of the test bed
TEXT = "请问你们的营业时间是几点到几点？周末也开门吗？"


class Seen(Struct):
    """What the load saw: latencies in seconds, sorted."""

    sent: int
    replied: int
    failed: int
    elapsed: float
    latencies: list[float]
    arrivals: list[float] = []


def request(account: str, user: int, msgid: int) -> bytes:
    """Return one signed plaintext callback as HTTP bytes."""
    now = str(int(time.time()))
    nonce = str(msgid)
    signature = hashlib.sha1("".join(sorted((TOKEN, now, nonce))).encode()).hexdigest()  # noqa: S324
    body = (
        f"<xml><ToUserName><![CDATA[gh_bench]]></ToUserName>"
        f"<FromUserName><![CDATA[oBENCH{user:022d}]]></FromUserName><CreateTime>{now}</CreateTime>"
        f"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{TEXT}{msgid}]]></Content>"
        f"<MsgId>{msgid}</MsgId></xml>"
    ).encode()
    head = (
        f"POST /wechat/{account}?signature={signature}&timestamp={now}&nonce={nonce} HTTP/1.1\r\n"
        f"Host: bench\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    return head + body


class Line:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, payload: bytes) -> bytes:
        """Send a prepared request and return the body of a 200; anything else is empty."""
        self._writer.write(payload)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body = await self._reader.readexactly(length) if length else b""
        return body if head.startswith(b"HTTP/1.1 200") else b""


async def dial(port: int) -> Line:
    """Connect to ingress."""
    return Line(*await asyncio.open_connection("127.0.0.1", port))


class Load:
    """Users of one account; each waits for the reply before asking again."""

    def __init__(self, account: str, ports: list[int]) -> None:
        self._account, self._ports = account, ports
        self._idle: list[Line] = []
        self._msgid = time.time_ns() // 1000
        self._dialled = 0
        self.latencies: list[float] = []
        self.failed = self.sent = 0

    async def ask(self, user: int) -> None:
        """One question of one user, until its passive reply (or its `success`)."""
        self._msgid += 1
        self.sent += 1
        payload = request(self._account, user, self._msgid)
        began = time.perf_counter()
        line = self._idle.pop() if self._idle else await self._dial()
        try:
            body = await line.ask(payload)
        except (OSError, asyncio.IncompleteReadError):
            self.failed += 1
            return
        self._idle.append(line)
        if b"<Content>" in body:
            self.latencies.append(time.perf_counter() - began)
        else:
            self.failed += 1

    async def _dial(self) -> Line:
        self._dialled += 1
        return await dial(self._ports[self._dialled % len(self._ports)])

    async def closed(self, users: int, seconds: float) -> float:
        """Keep `users` questions in flight; returns the seconds it took."""
        stop = time.perf_counter() + seconds
        began = time.perf_counter()

        async def live(user: int) -> None:
            while time.perf_counter() < stop:
                await self.ask(user)

        await asyncio.gather(*(live(user) for user in range(users)))
        return time.perf_counter() - began

    async def opened(self, rate: float, seconds: float, users: int = 5000) -> float:
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
            await asyncio.wait(tasks, timeout=20)
        return elapsed


async def main() -> None:
    """Run one load and print what it saw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--account", default="plain")
    parser.add_argument("--ports", required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--users", type=int, default=64)
    given = parser.parse_args()
    load = Load(given.account, [int(port) for port in given.ports.split(",")])
    if given.rate:
        elapsed = await load.opened(given.rate, given.seconds)
    else:
        elapsed = await load.closed(given.users, given.seconds)
    seen = Seen(load.sent, len(load.latencies), load.failed, elapsed, sorted(load.latencies))
    sys.stdout.buffer.write(msgspec.json.encode(seen))


if __name__ == "__main__":
    uvloop.run(main())
