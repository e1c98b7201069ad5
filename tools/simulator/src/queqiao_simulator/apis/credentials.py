"""Access tokens, and the account's own affairs: quotas, addresses (reference 5)."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from queqiao_simulator.accounts import Account
from queqiao_simulator.apis.calls import OK, ApiCall, Handler
from queqiao_simulator.refusals import Refused
from queqiao_simulator.tokens import Issued

if TYPE_CHECKING:
    from queqiao_simulator.world import World

FROZEN = 40243


def token(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /cgi-bin/token`."""
    account = _client(call, call.query)
    return _issued(account.tokens.plain(call.now))


def stable_token(_: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/stable_token`."""
    body = call.post()
    account = _client(call, body)
    return _issued(account.tokens.stable(call.now, force=body.get("force_refresh") is True))


def wecom_token(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /cgi-bin/gettoken`: one token per app secret; a repeated call answers the same."""
    if not call.query.get("corpid"):
        raise Refused(41002)
    if not call.query.get("corpsecret"):
        raise Refused(41004)
    if call.account is None:
        raise Refused(40013)
    if call.query["corpsecret"] != call.account.settings.secret:
        raise Refused(40001)
    return OK | _issued(call.account.tokens.stable(call.now))


def clear_quota(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/clear_quota`: ten a month."""
    account, body = call.sender(), call.post()
    if body.get("appid") != account.settings.appid:
        raise Refused(40013)
    return _clear(world, call, account)


def clear_quota_by_secret(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/clear_quota/v2`: the same ten, without a token."""
    body = call.post()
    if call.account is None:
        raise Refused(40013)
    if body.get("appsecret") != call.account.settings.secret:
        raise Refused(40125)
    return _clear(world, call, call.account)


def addresses(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /cgi-bin/getcallbackip`, `/cgi-bin/get_api_domain_ip`: one machine plays both."""
    call.sender()
    return {"ip_list": ["127.0.0.1"]}


HANDLERS: dict[str, Handler] = {
    "/cgi-bin/token": token,
    "/cgi-bin/stable_token": stable_token,
    "/cgi-bin/gettoken": wecom_token,
    "/cgi-bin/clear_quota": clear_quota,
    "/cgi-bin/clear_quota/v2": clear_quota_by_secret,
    "/cgi-bin/getcallbackip": addresses,
    "/cgi-bin/get_api_domain_ip": addresses,
}


def _clear(world: "World", call: ApiCall, account: Account) -> dict[str, Any]:
    month = f"{datetime.fromtimestamp(call.now, UTC):%Y-%m}"
    if account.clears[month] >= world.settings.send.clears_per_month:
        raise Refused(48006)
    account.clears[month] += 1
    account.clear_quota()
    return OK


def _client(call: ApiCall, given: dict[str, Any]) -> Account:
    """The account that asks for a token.

    Raises:
        Refused: 40002, 41002, 40013, 41004, 40125, 40243, 40164 or one of 5.2's 895xx.
    """
    if given.get("grant_type") != "client_credential":
        raise Refused(40002)
    if not given.get("appid"):
        raise Refused(41002)
    if call.account is None:
        raise Refused(40013)
    if not given.get("secret"):
        raise Refused(41004)
    settings = call.account.settings
    if given["secret"] != settings.secret:
        raise Refused(40125)
    if call.account.frozen:
        raise Refused(FROZEN)
    if settings.ip_allowlist and call.client not in settings.ip_allowlist:
        raise Refused(40164, call.client)
    if errcode := call.account.confirmation.errcode(call.now):
        raise Refused(errcode)
    return call.account


def _issued(issued: Issued) -> dict[str, Any]:
    if issued.errcode:
        raise Refused(issued.errcode)
    return {"access_token": issued.value, "expires_in": issued.expires_in}
