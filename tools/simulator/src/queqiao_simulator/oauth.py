"""Web pages that ask who the user is: codes that work once, and their tokens. No I/O.

Source: protocol reference 9 (OAuth2). Numbers are WeChat's errcodes.
"""

import secrets

from msgspec import Struct

from queqiao_simulator.keeping import Kept
from queqiao_simulator.refusals import Refused

INVALID_CODE = 40029
USED_CODE = 40163
EXPIRED_CODE = 42003
INVALID_TOKEN = 40001
EXPIRED_TOKEN = 42001
INVALID_REFRESH = 40030
CODE_LIFETIME = 300.0
TOKEN_LIFETIME = 7200.0


class Code(Struct):
    """What the user's consent has given to a page."""

    openid: str
    scope: str
    until: float
    used: bool = False


class Visit(Struct, frozen=True, kw_only=True):
    """A page's right to know the user. These tokens are not those of the API."""

    access_token: str
    refresh_token: str
    openid: str
    scope: str
    until: float


class OAuth:
    """The codes and visits of one account."""

    def __init__(self) -> None:
        self._codes: Kept[Code] = Kept()
        self._visits: Kept[Visit] = Kept()

    def consent(self, openid: str, scope: str, now: float) -> str:
        """The user agrees; answers the code that the page receives."""
        code = "0" + secrets.token_urlsafe(24)
        self._codes.keep(code, Code(openid, scope, now + CODE_LIFETIME))
        return code

    def exchange(self, code: str, now: float) -> Visit:
        """Turn a code into tokens, once.

        Raises:
            Refused: 40029, 40163 or 42003.
        """
        known = self._codes.get(code)
        if known is None:
            raise Refused(INVALID_CODE)
        if known.used:
            raise Refused(USED_CODE)
        if now >= known.until:
            raise Refused(EXPIRED_CODE)
        known.used = True
        return self._begin(known.openid, known.scope, now)

    def refresh(self, refresh_token: str, now: float) -> Visit:
        """New tokens for old.

        Raises:
            Refused: 40030.
        """
        for visit in self._visits.values():
            if visit.refresh_token == refresh_token:
                return self._begin(visit.openid, visit.scope, now)
        raise Refused(INVALID_REFRESH)

    def visit(self, access_token: str, openid: str, now: float) -> Visit:
        """The visit of a token.

        Raises:
            Refused: 40001, 40003 or 42001.
        """
        visit = self._visits.get(access_token)
        if visit is None:
            raise Refused(INVALID_TOKEN)
        if visit.openid != openid:
            raise Refused(40003)
        if now >= visit.until:
            raise Refused(EXPIRED_TOKEN)
        return visit

    def _begin(self, openid: str, scope: str, now: float) -> Visit:
        visit = Visit(
            access_token="W" + secrets.token_urlsafe(64),
            refresh_token="R" + secrets.token_urlsafe(64),
            openid=openid,
            scope=scope,
            until=now + TOKEN_LIFETIME,
        )
        return self._visits.keep(visit.access_token, visit)
