"""The platform's API host: `/cgi-bin/…`, HTTP 200 with an errcode, faults included."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Struct

from queqiao_simulator import quota, sending
from queqiao_simulator.accounts import Account
from queqiao_simulator.errors import errmsg
from queqiao_simulator.faults import Fault
from queqiao_simulator.sending import Refused
from queqiao_simulator.server import cut
from queqiao_simulator.tokens import Issued
from queqiao_simulator.world import Call, World

JSON = "application/json; encoding=utf-8"
OK: dict[str, Any] = {"errcode": 0, "errmsg": "ok"}


class ApiCall(Struct):
    """One request, read; `account` None: nobody's appid or token."""

    path: str
    method: str
    query: dict[str, str]
    body: bytes
    client: str
    now: float
    account: Account | None = None
    openid: str = ""
    what: str = ""

    def sender(self) -> Account:
        """The account whose valid access token this is.

        Raises:
            Refused: 41001, 40014, 40001 or 42001.
        """
        token = self.query.get("access_token")
        if self.account is None:
            raise Refused(40014 if token else 41001)
        if errcode := self.account.tokens.check(token, self.now):
            raise Refused(errcode)
        return self.account

    def post(self) -> dict[str, Any]:
        """The JSON object that was posted.

        Raises:
            Refused: 43002, 44002 or 47001.
        """
        if self.method != "POST":
            raise Refused(43002)
        return sending.decode(self.body)


Handler: TypeAlias = Callable[[World, ApiCall], dict[str, Any]]


def token(_: World, call: ApiCall) -> dict[str, Any]:
    """`GET /cgi-bin/token`."""
    account = _client(call, call.query)
    return _issued(account.tokens.plain(call.now))


def stable_token(_: World, call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/stable_token`."""
    body = call.post()
    account = _client(call, body)
    return _issued(account.tokens.stable(call.now, force=body.get("force_refresh") is True))


def send(world: World, call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/message/custom/send`."""
    account, body = call.sender(), call.post()
    call.openid, call.what = str(body.get("touser", "")), str(body.get("msgtype", ""))
    if not account.settings.may_send:
        raise Refused(48001)
    chat = sending.reachable(account.conversations.get(call.openid))
    message = sending.outgoing(body, call.body, world.settings.send)
    errcode, chat.window = quota.spend(chat.window, call.now)
    if errcode:
        raise Refused(errcode)
    world.show(account, chat, message.text, kind=message.kind, via="api", ai=message.is_ai)
    return OK


def typing(world: World, call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/message/custom/typing`."""
    account, body = call.sender(), call.post()
    call.openid, call.what = str(body.get("touser", "")), str(body.get("command", ""))
    if not account.settings.may_send:
        raise Refused(48001)
    chat = sending.reachable(account.conversations.get(call.openid))
    if not quota.is_open(chat.window, call.now):
        raise Refused(45015)
    until = sending.typing(body.get("command"), chat, call.now, world.settings.send)
    chat.typing_until = until
    world.changed("typing", account, chat)
    return OK


def clear_quota(world: World, call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/clear_quota`: ten a month."""
    account, body = call.sender(), call.post()
    if body.get("appid") != account.settings.appid:
        raise Refused(40013)
    month = f"{datetime.fromtimestamp(call.now, UTC):%Y-%m}"
    if account.clears[month] >= world.settings.send.clears_per_month:
        raise Refused(48006)
    account.clears[month] += 1
    account.tokens.clear_quota()
    return OK


def callback_addresses(_: World, call: ApiCall) -> dict[str, Any]:
    """`GET /cgi-bin/getcallbackip`: where pushes come from."""
    call.sender()
    return {"ip_list": ["127.0.0.1"]}


def unknown(_: World, call: ApiCall) -> dict[str, Any]:
    """Any path that the simulator does not play."""
    raise Refused(40066, call.path)


HANDLERS: dict[str, Handler] = {
    "/cgi-bin/token": token,
    "/cgi-bin/stable_token": stable_token,
    "/cgi-bin/message/custom/send": send,
    "/cgi-bin/message/custom/typing": typing,
    "/cgi-bin/clear_quota": clear_quota,
    "/cgi-bin/getcallbackip": callback_addresses,
    "/cgi-bin/get_api_domain_ip": callback_addresses,
}


def routes(world: World) -> APIRouter:
    """The API host's routes."""
    router = APIRouter()

    async def endpoint(request: Request) -> Response:
        return await _respond(world, request)

    router.add_api_route("/cgi-bin/{path:path}", endpoint, methods=["GET", "POST"])
    return router


class Done(Struct, frozen=True):
    """An answer, and the errcode that the log shows for it."""

    response: Response
    errcode: int


async def _respond(world: World, request: Request) -> Response:
    started = time.perf_counter()
    call = await _read(world, request)
    account = call.account.settings.id if call.account else ""
    fault = world.faults.of_call(account, call.path)
    done = await _before(call, fault, request) or _perform(world, call)
    await _after(fault, request)
    ms = round((time.perf_counter() - started) * 1000, 2)
    world.calls.append(
        Call(
            at=round(call.now, 3),
            path=call.path,
            account=account,
            errcode=done.errcode,
            ms=ms,
            openid=call.openid,
            what=call.what,
            fault=fault.kind if fault else "",
        )
    )
    return done.response


async def _read(world: World, request: Request) -> ApiCall:
    call = ApiCall(
        path=request.url.path,
        method=request.method,
        query=dict(request.query_params),
        body=await request.body(),
        client=request.client.host if request.client else "",
        now=world.clock.now(),
    )
    call.account = _owner(world, call)
    return call


def _owner(world: World, call: ApiCall) -> Account | None:
    if value := call.query.get("access_token"):
        return next((a for a in world.accounts.values() if a.tokens.owns(value)), None)
    appid: object = call.query.get("appid")
    if appid is None and call.path == "/cgi-bin/stable_token" and call.method == "POST":
        try:
            appid = sending.decode(call.body).get("appid")
        except Refused:
            return None  # the handler will refuse the same body
    return next((a for a in world.accounts.values() if a.settings.appid == appid), None)


async def _before(call: ApiCall, fault: Fault | None, request: Request) -> Done | None:
    """What a fault makes of the call before it has any effect; None: it goes on."""
    match fault:
        case Fault(kind="errcode", errcode=errcode):
            return _error(errcode, call.now, "injected")
        case Fault(kind="http", status=status):
            return Done(Response("injected", status_code=status), errcode=-1)
        case Fault(kind="disconnect_before"):
            await cut(request)
            return Done(Response(), errcode=-1)
        case Fault(kind="delay", seconds=seconds):
            await asyncio.sleep(seconds)
        case Fault(kind="revoke_token") if call.account:
            call.account.tokens.revoke(call.query.get("access_token", ""), call.now)
        case _:
            pass
    return None


async def _after(fault: Fault | None, request: Request) -> None:
    """What a fault does when the call has had its effect."""
    match fault:
        case Fault(kind="delay_after", seconds=seconds):
            await asyncio.sleep(seconds)
        case Fault(kind="disconnect_after"):
            await cut(request)
        case _:
            pass


def _perform(world: World, call: ApiCall) -> Done:
    try:
        return _json(HANDLERS.get(call.path, unknown)(world, call))
    except Refused as refused:
        return _error(refused.errcode, call.now, refused.why)


def _error(errcode: int, now: float, why: str) -> Done:
    return _json({"errcode": errcode, "errmsg": errmsg(errcode, now, why)})


def _json(content: dict[str, Any]) -> Done:
    response = Response(msgspec.json.encode(content), media_type=JSON)
    return Done(response, content.get("errcode", 0))


def _client(call: ApiCall, given: dict[str, Any]) -> Account:
    """The account that asks for a token.

    Raises:
        Refused: 40002, 41002, 40013, 41004, 40125 or 40164.
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
    if settings.ip_allowlist and call.client not in settings.ip_allowlist:
        raise Refused(40164, call.client)
    return call.account


def _issued(issued: Issued) -> dict[str, Any]:
    if issued.errcode:
        raise Refused(issued.errcode)
    return {"access_token": issued.value, "expires_in": issued.expires_in}
