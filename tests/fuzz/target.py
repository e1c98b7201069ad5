"""One function that takes any bytes to every door of ingress, as HTTP, and says what it costs.

The first byte chooses the door and how the rest gets there: as it is, signed, or sealed, since what
lies behind a signature is out of reach of chance. Everything of ingress is real but the broker.
"""

import asyncio
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec
from queqiao_wechat.crypto import Cipher
from queqiao_wechat.signature import sign

from services.ingress.tests import wechat, wecom
from services.ingress.tests.site import Site

ALLOWED = frozenset({200, 400, 403, 404, 413, 503})
"""503 is for a poll or a message that the broker refuses: none here, but it is no fault either."""
LONGEST_QUERY = 2_000
NOTHING = Cipher(wechat.AES_KEY, "")

ACCOUNTS = {
    "plain": wechat.account(id="plain"),
    "safe": wechat.safe_account(id="safe"),
    "passive": wechat.account(id="passive", kind="subscription"),
    "mini": wechat.account(id="mini", kind="miniprogram"),
    "app": wecom.account(id="app"),
    "kf": wecom.account("wecom_kf", id="kf"),
    "bot": wecom.account("wecom_bot", id="bot"),
}
CIPHERS = {"safe": wechat.CIPHER, "app": wecom.CORP, "kf": wecom.CORP, "bot": NOTHING}


@dataclass(frozen=True, slots=True)
class Thrown:
    """One request, and what came of it: `seconds` are of the processor, not of the clock."""

    account: str
    status: int
    seconds: float


class Target:
    """Every door of ingress, one after the other; one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._site = Site(wechat.config(*ACCOUNTS.values()), reply="好")

    def close(self) -> None:
        """Let go of the loop."""
        self._loop.close()

    def throw(self, data: bytes) -> Thrown:
        """Send one request made of any bytes, and return what it came to."""
        choice, data = (data[0] if data else 0), data[1:]
        account = list(ACCOUNTS)[choice % len(ACCOUNTS)]
        ways = (as_it_is, signed, sealed, verifying, echoing)
        method, query, body = ways[choice // len(ACCOUNTS) % len(ways)](account, data)
        began = time.process_time()
        status = self._loop.run_until_complete(self._call(method, account, query, body))
        thrown = Thrown(account, status, time.process_time() - began)
        self._forget()
        return thrown

    async def _call(self, method: str, account: str, query: bytes, body: bytes) -> int:
        request = {"type": "http.request", "body": body, "more_body": False}
        inbox: list[MutableMapping[str, Any]] = [request]
        statuses: list[int] = []

        async def receive() -> MutableMapping[str, Any]:
            if inbox:
                return inbox.pop()
            await asyncio.Event().wait()  # a client that waits for its answer
            return {}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {
            "type": "http",
            "method": method,
            "path": f"/wechat/{account}",
            "query_string": query,
            "headers": [],
        }
        await self._site.app(scope, receive, send)
        return statuses[0]

    def _forget(self) -> None:
        self._site.broker.stored.clear()
        self._site.broker.traces.clear()
        for documents in (self._site.claims, self._site.displays):
            documents.documents.clear()


Way = Callable[[str, bytes], tuple[str, bytes, bytes]]
"""From an account and any bytes to a request: method, query, body."""


def as_it_is(_account: str, data: bytes) -> tuple[str, bytes, bytes]:
    """The query up to the end of a line, then the body."""
    query, _, body = data.partition(b"\n")
    return "POST", query[:LONGEST_QUERY], body


def signed(_account: str, data: bytes) -> tuple[str, bytes, bytes]:
    """A body under a signature that is right, as long as no body is part of it."""
    return "POST", urlencode(wechat.signed()).encode(), data


def sealed(account: str, data: bytes) -> tuple[str, bytes, bytes]:
    """A body that only whoever has the keys could have sealed."""
    encrypted = CIPHERS.get(account, NOTHING).encrypt(data)
    query = urlencode(wecom.query(encrypted) | {"encrypt_type": "aes"}).encode()
    name = "encrypt" if account == "bot" else "Encrypt"
    return "POST", query, msgspec.json.encode({name: encrypted})


def verifying(_account: str, data: bytes) -> tuple[str, bytes, bytes]:
    """A verification with any query."""
    return "GET", data[:LONGEST_QUERY], b""


def echoing(account: str, data: bytes) -> tuple[str, bytes, bytes]:
    """A verification whose signature is right, of whatever was echoed."""
    echo = CIPHERS[account].encrypt(data) if account in CIPHERS else data.decode("latin-1")
    whole = sign(wechat.TOKEN, wechat.TIMESTAMP, wechat.NONCE, echo)
    query = wechat.signed(echostr=echo[:LONGEST_QUERY], msg_signature=whole)
    return "GET", urlencode(query).encode(), b""
