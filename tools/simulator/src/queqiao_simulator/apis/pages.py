"""OAuth of web pages: a code, once, for tokens that are not the API's (reference 9)."""

from typing import TYPE_CHECKING, Any

from queqiao_simulator.accounts import Account, unionid_of
from queqiao_simulator.apis.calls import OK, ApiCall, Handler
from queqiao_simulator.oauth import TOKEN_LIFETIME, Visit
from queqiao_simulator.refusals import Refused

if TYPE_CHECKING:
    from queqiao_simulator.world import World


def exchange(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /sns/oauth2/access_token?appid&secret&code&grant_type=authorization_code`."""
    account = _client(call, "authorization_code")
    if call.query.get("secret") != account.settings.secret:
        raise Refused(40125)
    return _answer(account, account.oauth.exchange(call.query.get("code", ""), call.now))


def refresh(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /sns/oauth2/refresh_token?appid&refresh_token&grant_type=refresh_token`."""
    account = _client(call, "refresh_token")
    visit = account.oauth.refresh(call.query.get("refresh_token", ""), call.now)
    return _answer(account, visit)


def userinfo(world: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /sns/userinfo?access_token&openid`: needs the scope snsapi_userinfo."""
    account, visit = _visit(world, call)
    if visit.scope != "snsapi_userinfo":
        raise Refused(48001)
    chat = account.conversations[visit.openid]
    return {
        "openid": visit.openid,
        "nickname": chat.name,
        "sex": 0,
        "headimgurl": "",
        "privilege": [],
        "unionid": unionid_of(chat.name),
    }


def auth(world: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /sns/auth?access_token&openid`: whether the token is valid."""
    _visit(world, call)
    return OK


def _visit(world: "World", call: ApiCall) -> tuple[Account, Visit]:
    """Whoever's token this is: it is not one of the API, so no account is known yet.

    Raises:
        Refused: 40001, 40003 or 42001.
    """
    token, openid = call.query.get("access_token", ""), call.query.get("openid", "")
    refused = Refused(40001)
    for account in world.accounts.values():
        try:
            return account, account.oauth.visit(token, openid, call.now)
        except Refused as error:
            refused = error if error.errcode != refused.errcode else refused
    raise refused


def _client(call: ApiCall, grant_type: str) -> Account:
    if call.query.get("grant_type") != grant_type:
        raise Refused(40002)
    if call.account is None:
        raise Refused(40013)
    return call.account


def _answer(account: Account, visit: Visit) -> dict[str, Any]:
    chat = account.conversations[visit.openid]
    return {
        "access_token": visit.access_token,
        "expires_in": int(TOKEN_LIFETIME),
        "refresh_token": visit.refresh_token,
        "openid": visit.openid,
        "scope": visit.scope,
        "unionid": unionid_of(chat.name),
    }


HANDLERS: dict[str, Handler] = {
    "/sns/oauth2/access_token": exchange,
    "/sns/oauth2/refresh_token": refresh,
    "/sns/userinfo": userinfo,
    "/sns/auth": auth,
}
