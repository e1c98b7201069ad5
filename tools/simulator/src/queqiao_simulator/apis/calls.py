"""One request to the API host, and what may be asked of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from queqiao_simulator import sending
from queqiao_simulator.accounts import Account
from queqiao_simulator.refusals import Refused

if TYPE_CHECKING:
    from queqiao_simulator.world import World

OK: dict[str, Any] = {"errcode": 0, "errmsg": "ok"}
BANNED = 48004
UNAUTHORIZED = 48001
ADDRESS_REFUSED = 60020


class Raw(Struct, frozen=True):
    """An answer that is not JSON."""

    body: bytes
    mime: str
    filename: str = ""


class ApiCall(Struct):
    """One request, read; `account` None: nobody's appid or token. `fault` is the kind of one."""

    path: str
    method: str
    query: dict[str, str]
    body: bytes
    client: str
    now: float
    content_type: str = ""
    account: Account | None = None
    openid: str = ""
    what: str = ""
    fault: str = ""
    fail_type: int = 0

    def sender(self, *kinds: str) -> Account:
        """The account whose valid access token this is, if it is of one of these kinds.

        Raises:
            Refused: 41001, 40014, 40001, 42001, 48001, 48004 or 60020.
        """
        token = self.query.get("access_token")
        if self.account is None:
            raise Refused(40014 if token else 41001)
        if errcode := self.account.tokens.check(token, self.now):
            raise Refused(errcode)
        settings = self.account.settings
        if kinds and settings.kind not in kinds:
            raise Refused(UNAUTHORIZED)
        if self.account.banned:
            raise Refused(BANNED)
        if settings.is_wecom and settings.ip_allowlist and self.client not in settings.ip_allowlist:
            raise Refused(ADDRESS_REFUSED, self.client)
        return self.account

    def speaker(self) -> Account:
        """The sender, if it may do more than answer pushes.

        Raises:
            Refused: as `sender`; 48001 also for an account that is not verified.
        """
        account = self.sender()
        if not account.settings.may_send:
            raise Refused(UNAUTHORIZED)
        return account

    def post(self) -> dict[str, Any]:
        """The JSON object that was posted.

        Raises:
            Refused: 43002, 44002 or 47001.
        """
        if self.method != "POST":
            raise Refused(43002)
        return sending.decode(self.body)


Answered: TypeAlias = "dict[str, Any] | Raw"
Handler: TypeAlias = "Callable[[World, ApiCall], Answered]"
