"""One access token per account, however many replicas: the document in KV `tokens`.

Whoever needs a token first takes a lease by compare-and-swap and fetches it; the others wait for
the document. The token is renewed before it ends, and once when WeChat has refused it. Neither
token nor secret is ever logged or printed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct, structs
from queqiao_common.kv import Documents
from queqiao_wechat.client import AmbiguousError, Token, UnreachableError, WeChatError

EARLY = 200.0
"""Seconds before its end at which a token is renewed.

WeChat hands out the next one from 300 s before the end on, and both are valid meanwhile (protocol
reference 5.1).
"""
LAST = 10.0
"""Seconds before its end at which a token is no longer used, even while the next is fetched."""
LEASE = 15.0
"""Seconds that one replica may take to fetch a token; longer than the client's time-outs."""
PAUSE = 0.1
PATIENCE = 20.0


class Held(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The token in use, and who fetches the next one until when (Unix ms)."""

    access_token: str = ""
    expires_ms: int = 0
    fetcher: str = ""
    lease_until_ms: int = 0

    def __repr__(self) -> str:
        return f"Held(access_token=***, expires_ms={self.expires_ms}, fetcher={self.fetcher!r})"


class Fetch(Protocol):
    """How a token is got from WeChat."""

    async def __call__(self, *, force: bool) -> Token:
        """Return the account's token; `force` ends the one in use."""


def is_usable(held: Held | None, *, stale: str, now_ms: int, margin: float) -> bool:
    """Return whether a token may be used: not the refused one, and `margin` s before its end."""
    return (
        held is not None
        and held.access_token not in ("", stale)
        and held.expires_ms - now_ms > margin * 1000
    )


def leased(held: Held | None, *, fetcher: str, stale: str, now_ms: int) -> tuple[Held | None, bool]:
    """Take the lease where a token is needed and nobody else fetches one; say whether it is ours.

    It may be ours already: the answer to our own write was lost.
    """
    if is_usable(held, stale=stale, now_ms=now_ms, margin=EARLY):
        return None, False
    known = held or Held()
    if known.fetcher not in ("", fetcher) and known.lease_until_ms > now_ms:
        return None, False
    until_ms = now_ms + int(LEASE * 1000)
    return structs.replace(known, fetcher=fetcher, lease_until_ms=until_ms), True


def returned(held: Held | None, *, fetcher: str) -> tuple[Held | None, None]:
    """Give the lease back without a token."""
    if held is None or held.fetcher != fetcher:
        return None, None
    return structs.replace(held, fetcher="", lease_until_ms=0), None


class Tokens:
    """The `TokenSource` of one account in one replica."""

    def __init__(
        self,
        bucket: Documents[Held],
        *,
        account: str,
        fetch: Fetch,
        owner: str,
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._bucket = bucket
        self._account = account
        self._fetch = fetch
        self._owner = owner
        self._now_ms = now_ms
        self._sleep = sleep
        self._held: Held | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> str:
        """Return the token in use.

        Raises:
            WeChatError: there is none, and WeChat gives none; certainly nothing else was called.
            BrokerUnavailable: the broker did not answer.
        """
        return await self._token(stale="")

    async def renew(self, stale: str) -> str:
        """Return a token other than `stale`, which WeChat has refused.

        Raises:
            WeChatError, BrokerUnavailable: as `get`.
        """
        return await self._token(stale=stale)

    def _is_usable(self, held: Held | None, stale: str, margin: float = EARLY) -> bool:
        return is_usable(held, stale=stale, now_ms=self._now_ms(), margin=margin)

    async def _token(self, *, stale: str) -> str:
        if self._held is None or not self._is_usable(self._held, stale):
            async with self._lock:
                if self._held is None or not self._is_usable(self._held, stale):
                    self._held = await self._obtain(stale)
        return self._held.access_token

    async def _obtain(self, stale: str) -> Held:
        """Return a usable token: another replica's, or one that we fetch."""
        give_up_ms = self._now_ms() + int(PATIENCE * 1000)
        while self._now_ms() < give_up_ms:
            held = (await self._bucket.get(self._account)).value
            if held is not None and self._is_usable(held, stale):
                return held
            if await self._bucket.update(self._account, lambda old: self._leased(old, stale)):
                return await self._renewed(held, stale)
            if held is not None and self._is_usable(held, stale, LAST):
                return held
            await self._sleep(PAUSE)
        raise UnreachableError("another replica takes too long to fetch a token")

    def _leased(self, held: Held | None, stale: str) -> tuple[Held | None, bool]:
        return leased(held, fetcher=self._owner, stale=stale, now_ms=self._now_ms())

    async def _renewed(self, old: Held | None, stale: str) -> Held:
        try:
            token = await self._fetched(stale)
        except WeChatError:
            await self._bucket.update(self._account, lambda h: returned(h, fetcher=self._owner))
            if old is not None and self._is_usable(old, stale, LAST):
                return old
            raise
        held = Held(
            access_token=token.access_token,
            expires_ms=self._now_ms() + token.expires_in * 1000,
        )
        await self._bucket.update(self._account, lambda _: (held, None))
        return held

    async def _fetched(self, stale: str) -> Token:
        """Fetch a token; by force only where WeChat still gives out the one it refuses."""
        try:
            token = await self._fetch(force=False)
            if token.access_token == stale:
                token = await self._fetch(force=True)
        except AmbiguousError as error:
            # Lost with this answer is a token, not a message: a repeat harms nothing.
            raise UnreachableError(str(error)) from None
        return token
