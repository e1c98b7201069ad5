"""A replica's share of what a model allows: small grants from the bucket, used up here."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import NamedTuple

from queqiao_common.errors import BrokerUnavailable, Conflict
from queqiao_common.kv import Documents

from queqiao_llm.loads import (
    LEASE_MS,
    Amount,
    Limits,
    Load,
    grant,
    need_of,
    settle,
    slice_of,
    tidied,
)

log = logging.getLogger(__name__)

TIDY = 1.0
"""Seconds between two rounds in which what is unused is given back and leases are renewed."""
GRANT_MS = 2_000
"""Milliseconds for which a grant is meant to last."""
REFUSAL_MS = 200
"""Milliseconds for which nobody asks again after the bucket had nothing to grant."""
PATIENCE = 1.0
"""Seconds that the broker may take; then everybody is let in, and the provider itself says no."""


class _Grant(NamedTuple):
    """What is left of a grant, and the slice of time that it was counted in."""

    requests: int
    tokens: int
    at: str
    since_ms: int


class Gate:
    """The way to one model with one key. Tokens are estimated before, and counted after."""

    def __init__(
        self,
        documents: Documents[Load],
        key: str,
        limits: Limits,
        *,
        replica: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._documents = documents
        self._key = key
        self._limits = limits
        self._replica = replica
        self._now_ms = now_ms
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._lately = 0  # let in since the last round
        self._grant = _Grant(0, 0, "0", 0)
        self._leased = 0
        self._inside = 0
        self._renewed_ms = 0
        self._refused_ms = 0

    async def enter(self, tokens: int) -> bool:
        """Let somebody in who will use about so many tokens; False: all is used up, for now."""
        need = need_of(tokens, self._limits)
        self._waiting += 1
        try:
            async with self._turn:  # one asks the broker, and for all who wait here
                is_let_in = self._has(need) or await self._ask(need)
        finally:
            self._waiting -= 1
        if is_let_in:
            self._inside += 1
            self._lately += 1
            left = self._grant
            self._grant = left._replace(
                requests=left.requests - need.requests, tokens=left.tokens - need.tokens
            )
        return is_let_in

    def leave(self, *, estimated: int, used: int) -> None:
        """Note that an answer is over, and what it took."""
        self._inside -= 1
        if self._limits.tokens is not None:
            unused = need_of(estimated, self._limits).tokens - used
            self._grant = self._grant._replace(tokens=self._grant.tokens + unused)

    async def tidy(self) -> None:
        """Give back what is not used, and renew the lease for what is."""
        now_ms, left, lately = self._now_ms(), self._grant, self._lately
        self._lately = 0
        is_over = now_ms - left.since_ms >= GRANT_MS and (left.requests or left.tokens)
        is_idle = self._leased > max(self._inside, lately)
        is_due = self._leased and now_ms - self._renewed_ms >= LEASE_MS // 3
        if self._turn.locked() or not (is_over or is_idle or is_due):
            return
        async with self._turn:
            with contextlib.suppress(BrokerUnavailable, TimeoutError):
                await self._give_back(now_ms)

    def _has(self, need: Amount) -> bool:
        left = self._grant
        is_fresh = self._now_ms() - left.since_ms < GRANT_MS or not (need.requests or need.tokens)
        is_enough = left.requests >= need.requests and left.tokens >= need.tokens
        return is_fresh and is_enough and (not need.answers or self._leased > self._inside)

    async def _ask(self, need: Amount) -> bool:
        """Have the bucket grant what this one needs, and what those need who wait behind."""
        now_ms, left = self._now_ms(), self._grant
        if now_ms - self._refused_ms < REFUSAL_MS:
            return False
        if self._leased > self._inside:
            need = Amount(need.requests, need.tokens)
        many = max(self._waiting, self._lately)
        want = Amount(many * need.requests, many * need.tokens, need.answers and self._waiting)
        unused = {left.at: Amount(left.requests, left.tokens)}

        def change(old: Load | None) -> tuple[Load | None, Amount | None]:
            load = settle(
                tidied(old, now_ms),
                replica=self._replica,
                unused=unused,
                answers=self._leased,
                now_ms=now_ms,
            )
            found = grant(
                load, self._limits, replica=self._replica, need=need, want=want, now_ms=now_ms
            )
            return (None, None) if found is None else found

        try:
            async with asyncio.timeout(PATIENCE):
                given = await self._documents.update(self._key, change)
        except (BrokerUnavailable, TimeoutError) as error:
            log.warning("loads.unavailable", extra={"error": type(error).__name__})
            return True
        except Conflict:  # so many ask that each must wait for a moment
            given = None
        if given is None:
            self._refused_ms = now_ms
            return False
        self._grant = _Grant(given.requests, given.tokens, slice_of(now_ms), now_ms)
        self._leased += given.answers
        self._renewed_ms = now_ms
        return True

    async def _give_back(self, now_ms: int) -> None:
        left = self._grant
        unused = {left.at: Amount(left.requests, left.tokens)}
        answers = self._inside if self._limits.answers is not None else 0

        def change(old: Load | None) -> tuple[Load | None, None]:
            load = tidied(old, now_ms)
            return settle(
                load, replica=self._replica, unused=unused, answers=answers, now_ms=now_ms
            ), None

        async with asyncio.timeout(PATIENCE):
            await self._documents.update(self._key, change)
        spent = self._grant  # an answer may have ended meanwhile
        self._grant = spent._replace(
            requests=spent.requests - left.requests, tokens=spent.tokens - left.tokens
        )
        self._leased = answers
        self._renewed_ms = now_ms
