"""Access tokens: two families that do not disturb each other, and their limits.

Source: protocol reference 5.1. Time and randomness are given by the caller.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from queqiao_simulator.settings import TokenRules

OK = 0
SUPERSEDED = 40001
UNKNOWN = 40014
EXPIRED = 42001
MISSING = 41001
DAILY_LIMIT = 45009
MINUTE_LIMIT = 45011

REMEMBERED = 1000
DAY = 86400.0
MINUTE = 60.0

FamilyName = Literal["plain", "stable"]


class Token(Struct):
    """One issued token; `superseded_at` is when a newer one has taken its place for good."""

    value: str
    expires_at: float
    superseded_at: float = float("inf")


class Issued(Struct, frozen=True):
    """The answer to a token request: a token, or the errcode that refuses it."""

    value: str = ""
    expires_in: int = 0
    errcode: int = OK


class Counter:
    """Counts uses in consecutive periods of `period` seconds."""

    def __init__(self, limit: int, period: float) -> None:
        self._limit, self._period = limit, period
        self._number, self._used = -1, 0

    def take(self, now: float) -> bool:
        """Use one; False when the period's limit is spent."""
        number = int(now // self._period)
        if number != self._number:
            self._number, self._used = number, 0
        if self._used >= self._limit:
            return False
        self._used += 1
        return True

    def clear(self) -> None:
        """Forget what was used."""
        self._used = 0


class TokenBook:
    """The tokens of one account."""

    def __init__(self, rules: TokenRules, mint: Callable[[], str]) -> None:
        self._rules = rules
        self._mint = mint
        self._current: dict[FamilyName, Token] = {}
        self._known: dict[str, Token] = {}
        self._forced_at = float("-inf")
        self._forced = Counter(rules.forced_per_day, DAY)
        self._plain = Counter(rules.plain_per_day, DAY)
        self._stable = Counter(rules.stable_per_minute, MINUTE)

    def plain(self, now: float) -> Issued:
        """`/cgi-bin/token`: always a new token; the old one lives on for the overlap."""
        if not self._plain.take(now):
            return Issued(errcode=DAILY_LIMIT)
        return self._answer(self._renew("plain", now, self._rules.overlap), now)

    def stable(self, now: float, *, force: bool = False) -> Issued:
        """`/cgi-bin/stable_token`: the same token until its last minutes, unless forced."""
        if not self._stable.take(now):
            return Issued(errcode=MINUTE_LIMIT)
        current = self._current.get("stable")
        if force and current is not None and now - self._forced_at >= self._rules.forced_apart:
            return self._force(now)
        if current is None or not self._is_fresh(current, now):
            current = self._renew("stable", now, self._rules.overlap)
        return self._answer(current, now)

    def check(self, value: str | None, now: float) -> int:
        """The errcode of a call with this token: 0, 41001, 40014, 40001 or 42001."""
        if not value:
            return MISSING
        token = self._known.get(value)
        if token is None:
            return UNKNOWN
        if now >= token.superseded_at:
            return SUPERSEDED
        return EXPIRED if now >= token.expires_at else OK

    def owns(self, value: str) -> bool:
        """Whether this account ever issued the token (and still remembers it)."""
        return value in self._known

    def revoke(self, value: str, now: float) -> None:
        """Make a token worthless at once, as after a reset of the secret."""
        if token := self._known.get(value):
            token.superseded_at = now
        for family, current in list(self._current.items()):
            if current.value == value:
                del self._current[family]

    def clear_quota(self) -> None:
        """What `/cgi-bin/clear_quota` does for the token calls."""
        for counter in (self._forced, self._plain, self._stable):
            counter.clear()

    def _force(self, now: float) -> Issued:
        if not self._forced.take(now):
            return Issued(errcode=DAILY_LIMIT)
        self._forced_at = now
        return self._answer(self._renew("stable", now, overlap=0.0), now)

    def _is_fresh(self, token: Token, now: float) -> bool:
        # Renewed in its last minutes, so that callers never get less than the overlap.
        return token.expires_at - now > self._rules.overlap and now < token.superseded_at

    def _renew(self, family: FamilyName, now: float, overlap: float) -> Token:
        if old := self._current.get(family):
            old.superseded_at = min(old.superseded_at, now + overlap)
        token = Token(self._mint(), now + self._rules.lifetime)
        self._current[family] = self._known[token.value] = token
        self._forget()
        return token

    def _forget(self) -> None:
        in_use = {token.value for token in self._current.values()}
        while len(self._known) > REMEMBERED:
            del self._known[next(value for value in self._known if value not in in_use)]

    def _answer(self, token: Token, now: float) -> Issued:
        return Issued(value=token.value, expires_in=int(token.expires_at - now))
