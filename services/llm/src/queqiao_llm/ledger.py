"""The totals of the day: what this replica sees, written every few seconds, and the others'."""

import asyncio
import logging
from collections.abc import Callable
from zoneinfo import ZoneInfo

import msgspec
from queqiao_common.answers import Raw
from queqiao_common.errors import QueqiaoError
from queqiao_common.events import UNREADABLE
from queqiao_common.kv import Documents
from queqiao_common.topology import USAGE

from queqiao_llm.usage import Line, Shard, Tally, day_of, line_of, shard_key, total

log = logging.getLogger(__name__)

FLUSH = 5.0
"""Seconds after which the other replicas know what was spent here."""
PATIENCE = 2.0
"""Seconds that the broker may take."""

_decode = msgspec.json.Decoder(Shard).decode


class Ledger:
    """What all replicas have spent today, as far as this one knows.

    The document of a replica is its own, so a write replaces it; that of one which was killed stays
    and counts, but for its last seconds.
    """

    def __init__(
        self,
        documents: Documents[Shard],
        *,
        replica: str,
        zone: ZoneInfo,
        now_ms: Callable[[], int],
    ) -> None:
        self._documents = documents
        self._replica = replica
        self._zone = zone
        self._now_ms = now_ms
        self._own: dict[str, dict[str, Tally]] = {}
        self._unwritten: set[str] = set()
        self._others: dict[str, Shard] = {}

    @property
    def today(self) -> str:
        """The day that it is for the operator."""
        return day_of(self._now_ms(), self._zone)

    def add(self, day: str, line: Line, tally: Tally) -> None:
        """Count an answer."""
        lines = self._own.setdefault(day, {})
        lines[line.key] = lines.get(line.key, Tally()) + tally
        self._unwritten.add(day)

    def spent(self, account: str) -> Tally:
        """Return what an account has cost today, over all replicas."""
        today = self.today
        shards = [one for key, one in self._others.items() if key.startswith(f"{today}.")]
        lines = [*self._own.get(today, {}).items()]
        lines += [line for shard in shards for line in shard.lines.items()]
        return total(tally for key, tally in lines if line_of(key).account == account)

    def hear(self, raw: Raw) -> None:
        """Take over the document of another replica."""
        key = raw.subject.removeprefix(f"$KV.{USAGE.name}.")
        if key.endswith(f".{self._replica}"):
            return
        try:
            self._others[key] = _decode(raw.data)
        except UNREADABLE as error:
            log.error("usage.unreadable", extra={"key": key, "detail": str(error)[:200]})

    async def flush(self) -> None:
        """Write what is new here, and forget the days that are over."""
        for day in sorted(self._unwritten):
            if not await self._write(day):
                return
        today = self.today
        self._own = {
            day: lines for day, lines in self._own.items() if day == today or day in self._unwritten
        }
        self._others = {key: one for key, one in self._others.items() if key[:8] >= today}

    async def _write(self, day: str) -> bool:
        """Replace our document of a day; False: the broker is away."""
        shard = Shard(dict(self._own[day]))

        def change(_: Shard | None) -> tuple[Shard, None]:
            return shard, None

        try:
            async with asyncio.timeout(PATIENCE):
                await self._documents.update(shard_key(day, self._replica), change)
        except (QueqiaoError, TimeoutError) as error:
            log.warning("usage.unavailable", extra={"error": type(error).__name__})
            return False
        if shard.lines == self._own[day]:  # else something came while it was written
            self._unwritten.discard(day)
        return True
