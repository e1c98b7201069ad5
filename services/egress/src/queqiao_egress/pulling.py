"""Pulling what customers say: page by page, published before the cursor moves on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial

from prometheus_client import Counter
from queqiao_common.errors import PermanentError, TransientError
from queqiao_common.events import Event, InboundMessage, PullWanted
from queqiao_common.kv import Documents
from queqiao_common.worker import Received
from queqiao_wechat.client import ApiError, WeChatError
from queqiao_wechat.errcodes import Action
from queqiao_wechat.kf_client import FAILURES, Item, KfClient, Page

from queqiao_egress import cursors, customers
from queqiao_egress.cursors import Cursor, Peers
from queqiao_egress.pacing import retry_after

log = logging.getLogger(__name__)

EVERY_MS = 60_000
"""A callback may be missed: without one, each account is pulled about once a minute."""
AGAIN = 0.5
"""Seconds between two looks at whether another process has done what we were asked."""
OLD_TOKEN = 95007

SEND_FAILED = Counter(
    "queqiao_egress_kf_send_failed",
    "Messages that WeChat Customer Service took and then could not deliver, by reason.",
    ["fail_type"],
)

Publish = Callable[[InboundMessage], Awaitable[object]]


class Pulls:
    """Pulls every account of WeChat Customer Service; one process at a time pulls each."""

    def __init__(
        self,
        clients: Mapping[str, KfClient],
        *,
        peppers: Mapping[str, str],
        cursors: Documents[Cursor],
        peers: Documents[Peers],
        publish: Publish,
        owner: str,
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clients = clients
        self._peppers = peppers
        self._cursors = cursors
        self._peers = peers
        self._publish = publish
        self._owner = owner
        self._now_ms = now_ms
        self._sleep = sleep

    async def pull(self, received: Received[PullWanted]) -> AsyncIterator[Event]:
        """Pull what was announced, or wait until another process has."""
        wanted = received.event
        if wanted.account not in self._clients:
            raise PermanentError(f"account {wanted.account!r} is none of WeChat Customer Service")
        key = _key(wanted.account, wanted.peer)
        await self._peers.update(
            wanted.account, lambda peers: cursors.known_peer(peers, wanted.peer)
        )
        number = await self._cursors.update(
            key,
            partial(cursors.announced, token=wanted.token, received_ms=wanted.received_ms),
        )
        attempt = received.attempt
        while not await self._pulled(wanted.account, wanted.peer, number, attempt=attempt):
            await self._sleep(AGAIN)
        return
        yield  # a handler is a generator; what it has to say is published before the cursor moves

    async def catch_up(self) -> None:
        """Pull what no callback announced, or what a dead process left behind."""
        for account in self._clients:
            known = (await self._peers.get(account)).value or Peers()
            for peer in known.open_kfids:
                cursor = (await self._cursors.get(_key(account, peer))).value
                if cursor is not None and self._is_due(cursor):
                    await self._try(account, peer, cursor)

    async def _try(self, account: str, peer: str, cursor: Cursor) -> None:
        """Pull without having been asked: a failure must not keep us from the next account."""
        try:
            await self._pulled(account, peer, cursor.wanted + 1)
        except (TransientError, PermanentError) as error:
            fields = {"account": account, "peer": peer, "detail": str(error)[:300]}
            log.warning("pull.failed", extra=fields)

    def _is_due(self, cursor: Cursor) -> bool:
        return cursor.wanted > cursor.done or self._now_ms() - cursor.pulled_ms >= EVERY_MS

    async def _pulled(self, account: str, peer: str, number: int, *, attempt: int = 1) -> bool:
        """Pull if nobody does; say whether announcement `number` is done with."""
        key = _key(account, peer)
        held = await self._cursors.update(
            key, lambda old: cursors.taken(old, holder=self._owner, now_ms=self._now_ms())
        )
        if held.holder != self._owner:
            return held.done >= number
        try:
            await self._rounds(account, peer, held)
        except WeChatError as error:
            raise _translated(error, attempt, now_ms=self._now_ms()) from None
        finally:
            await self._cursors.update(key, partial(cursors.released, holder=self._owner))
        return True

    async def _rounds(self, account: str, peer: str, held: Cursor) -> None:
        """Pull to the end, and again while more is announced."""
        key, is_done = _key(account, peer), False
        while not is_done:
            upto = held.wanted
            if not await self._to_the_end(account, peer, held):
                return
            is_done = await self._cursors.update(
                key, partial(cursors.finished, holder=self._owner, upto=upto)
            )
            held = (await self._cursors.get(key)).value or held

    async def _to_the_end(self, account: str, peer: str, held: Cursor) -> bool:
        """Pull page after page, empty ones too; False where another process has taken over."""
        key, cursor, seen = _key(account, peer), held.cursor, set(held.seen)
        while True:
            page = await self._page(account, peer, cursor, held.token)
            new = [item for item in page.items if item.msgid not in seen]
            for item in {item.msgid: item for item in new}.values():
                await self._take(account, peer, item, since_ms=held.since_ms)
            seen.update(item.msgid for item in new)
            change = partial(
                cursors.advanced,
                holder=self._owner,
                next_cursor=page.next_cursor,
                msgids=[item.msgid for item in new],
                now_ms=self._now_ms(),
            )
            if not await self._cursors.update(key, change):
                return False
            cursor = page.next_cursor or cursor
            if not page.has_more:
                return True

    async def _page(self, account: str, peer: str, cursor: str, token: str) -> Page:
        client = self._clients[account]
        try:
            return await client.sync(peer, cursor=cursor, token=token)
        except ApiError as error:
            if error.errcode != OLD_TOKEN or not token:
                raise
        return await client.sync(peer, cursor=cursor, token="")

    async def _take(self, account: str, peer: str, item: Item, *, since_ms: int) -> None:
        if (failure := customers.failure_of(item)) is not None:
            self._note_failure(account, *failure)
            return
        if item.send_time * 1000 < since_ms:
            return
        pepper, now_ms = self._peppers[account], self._now_ms()
        event = customers.inbound(item, account=account, pepper=pepper, now_ms=now_ms)
        if event is not None and event.peer == peer:
            await self._publish(event)

    def _note_failure(self, account: str, msgid: str, fail_type: int) -> None:
        SEND_FAILED.labels(str(fail_type)).inc()
        meaning = FAILURES.get(fail_type, "not in our table")
        fields = {"account": account, "key": msgid, "fail_type": fail_type, "detail": meaning}
        log.warning("delivery.failed_later", extra=fields)


def _translated(error: WeChatError, attempt: int, *, now_ms: int) -> Exception:
    """Say of a failed pull whether it is worth another: a repeat of one never harms."""
    if isinstance(error, ApiError) and error.action in (Action.CONFIG, Action.BUG, Action.DROP):
        return PermanentError(str(error))
    action = error.action if isinstance(error, ApiError) else None
    return TransientError(str(error), after=retry_after(action, attempt, now_ms=now_ms))


def _key(account: str, peer: str) -> str:
    return f"{account}.{peer}"
