"""Waiting for claims: which of the requests and the API answers a message.

Claims are heard as the bucket's own records, in the order the broker stored them, and a claim never
changes; what was not heard is asked of the bucket.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from queqiao_common.answers import Raw
from queqiao_common.claims import TRIES, Claim, claim_key
from queqiao_common.events import PassiveOffer, ReplyGiven
from queqiao_common.kv import Documents

log = logging.getLogger(__name__)

HEARD = 5000
"""Claims remembered by one replica: over twenty seconds of them at 200 messages/s."""
GIVEN_BEFORE = ".given"
"""The keys by which ingress of release 0.2 says that a claimed answer has left."""
REPEAT = 1.5
"""Seconds until an offer is made again: the one before may be lost, or its hearer."""

Until = Callable[[asyncio.Future[Any], float], Awaitable[None]]

_decode = msgspec.json.Decoder(Claim).decode
_decode_given = msgspec.json.Decoder(ReplyGiven).decode


async def until_done(future: asyncio.Future[Any], seconds: float) -> None:
    """Wait until the future has a result, or the time is over."""
    await asyncio.wait([future], timeout=seconds)


class Claims:
    """The claims bucket, and what this replica has heard of it lately."""

    def __init__(self, bucket: Documents[Claim], *, until: Until = until_done) -> None:
        self._bucket = bucket
        self._until = until
        self._heard: OrderedDict[str, Claim] = OrderedDict()
        self._waiting: dict[str, set[asyncio.Future[Claim]]] = {}
        self._given: OrderedDict[str, None] = OrderedDict()
        self._leaving: dict[str, asyncio.Event] = {}

    def hear(self, raw: Raw) -> None:
        """Take note of a write to the bucket, as the follower calls it."""
        key = raw.subject.split(".", 2)[2]  # $KV.claims.<key>
        if key.endswith(GIVEN_BEFORE):
            self._note_given(key.removesuffix(GIVEN_BEFORE))
            return
        if key.endswith(TRIES) or not raw.data:
            return
        try:
            self._note(key, _decode(raw.data))
        except msgspec.MsgspecError:
            log.warning("claim.unreadable", extra={"subject": raw.subject})

    def _note(self, key: str, claim: Claim) -> Claim:
        self._heard[key] = claim
        if len(self._heard) > HEARD:
            self._heard.popitem(last=False)
        for future in self._waiting.get(key, ()):
            if not future.done():
                future.set_result(claim)
        return claim

    def hear_given(self, raw: Raw) -> None:
        """Take note that a claimed answer has left, as the follower calls it."""
        try:
            given = _decode_given(raw.data)
        except msgspec.MsgspecError:
            log.warning("given.unreadable", extra={"subject": raw.subject})
            return
        self._note_given(claim_key(given.account, given.msgid))

    def _note_given(self, key: str) -> None:
        self._given[key] = None
        if len(self._given) > HEARD:
            self._given.popitem(last=False)
        if (leaving := self._leaving.get(key)) is not None:
            leaving.set()

    async def until_given(self, key: str, seconds: float) -> bool:
        """Wait until a claimed answer has left; False when that was not heard in `seconds`."""
        if key not in self._given and seconds > 0:
            leaving = self._leaving.setdefault(key, asyncio.Event())
            heard = asyncio.ensure_future(leaving.wait())
            await self._until(heard, seconds)
            heard.cancel()
            self._leaving.pop(key, None)
        return key in self._given

    def heard(self, key: str) -> Claim | None:
        """Return the claim if it was heard; None says nothing."""
        return self._heard.get(key)

    async def look(self, key: str) -> Claim | None:
        """Return the claim, or None where there is none yet.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        if (claim := self._heard.get(key)) is not None:
            return claim
        found = (await self._bucket.get(key)).value
        return None if found is None else self._note(key, found)

    async def settle(self, key: str, claim: Claim) -> Claim:
        """Claim the message if nobody has, and return the claim that holds.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        if await self._bucket.create(key, claim):
            return self._note(key, claim)
        return await self.look(key) or claim

    async def wait(self, key: str, seconds: float) -> Claim | None:
        """Return the claim as soon as there is one, at most `seconds` from now."""
        future: asyncio.Future[Claim] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(key, set())
        waiting.add(future)
        try:
            if key not in self._heard:
                await self._until(future, seconds)
        finally:
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(key, None)
        return await self.look(key)


class Handover:
    """One message offered to one waiting request, until it is claimed or its time is over."""

    def __init__(
        self,
        claims: Claims,
        *,
        key: str,
        until_ms: int,
        otherwise: Claim,
        now_ms: Callable[[], int],
    ) -> None:
        self._claims = claims
        self._key = key
        self._until_ms = until_ms
        self._otherwise = otherwise
        self._now_ms = now_ms
        self.claim: Claim | None = None

    async def offers(self, make: Callable[[], PassiveOffer]) -> AsyncIterator[PassiveOffer]:
        """Yield offers until `claim` is known; when the time is over, claim `otherwise` ourselves.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        self.claim = self._claims.heard(self._key)
        while self.claim is None:
            left = (self._until_ms - self._now_ms()) / 1000
            if left <= 0:
                self.claim = await self._claims.settle(self._key, self._otherwise)
                return
            yield make()
            self.claim = await self._claims.wait(self._key, min(left, REPEAT))
