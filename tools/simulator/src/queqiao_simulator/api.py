"""The platform's API host: HTTP 200 with an errcode, faults included."""

import asyncio
import time
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Struct

from queqiao_simulator import sending
from queqiao_simulator.accounts import Account
from queqiao_simulator.apis import (
    chats,
    console,
    content,
    credentials,
    kf,
    materials,
    notices,
    pages,
    people,
    wecom,
)
from queqiao_simulator.apis.calls import Answered, ApiCall, Handler, Raw
from queqiao_simulator.errors import errmsg
from queqiao_simulator.faults import Fault
from queqiao_simulator.refusals import Refused
from queqiao_simulator.server import cut
from queqiao_simulator.transcript import Call
from queqiao_simulator.world import World

JSON = "application/json; encoding=utf-8"
PLAIN = "text/plain"
PREFIXES = ("/cgi-bin", "/wxa", "/sns", "/customservice")
SUBJECTS = (
    credentials, chats, materials, console, pages, content, notices, people, wecom, kf,
)  # fmt: skip
HANDLERS: dict[str, Handler] = {
    path: handler for subject in SUBJECTS for path, handler in subject.HANDLERS.items()
}
WITHOUT_TOKEN = frozenset({"/cgi-bin/stable_token", "/cgi-bin/clear_quota/v2"})


def unknown(_: World, call: ApiCall) -> dict[str, Any]:
    """Any path that the simulator does not play."""
    raise Refused(40066, call.path)


def routes(world: World) -> APIRouter:
    """The API host's routes."""
    router = APIRouter()

    async def endpoint(request: Request) -> Response:
        return await _respond(world, request)

    for prefix in PREFIXES:
        router.add_api_route(prefix + "/{path:path}", endpoint, methods=["GET", "POST"])
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
    if fault is not None:
        call.fault, call.fail_type = fault.kind, fault.fail_type
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
            fault=call.fault,
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
        content_type=request.headers.get("content-type", ""),
    )
    call.account = _owner(world, call)
    return call


def _owner(world: World, call: ApiCall) -> Account | None:
    accounts = world.accounts.values()
    if value := call.query.get("access_token"):
        return next((a for a in accounts if a.tokens.owns(value)), None)
    if call.path == "/cgi-bin/gettoken":
        return _app(world, call.query.get("corpid"), call.query.get("corpsecret"))
    appid: object = call.query.get("appid")
    if appid is None and call.path in WITHOUT_TOKEN and call.method == "POST":
        try:
            appid = sending.decode(call.body).get("appid")
        except Refused:
            return None  # the handler will refuse the same body
    return next((a for a in accounts if a.settings.appid == appid), None)


def _app(world: World, corpid: str | None, secret: str | None) -> Account | None:
    """The app of a company with this secret; any of the company's where the secret is wrong."""
    apps = [a for a in world.accounts.values() if a.settings.is_wecom]
    mine = [a for a in apps if a.settings.appid == corpid]
    return next((a for a in mine if a.settings.secret == secret), mine[0] if mine else None)


async def _before(call: ApiCall, fault: Fault | None, request: Request) -> Done | None:
    """What a fault makes of the call before it has any effect; None: it goes on."""
    match fault:
        case Fault(kind="errcode", errcode=errcode):
            return _error(call, errcode, "injected")
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
        return _answer(call, HANDLERS.get(call.path, unknown)(world, call))
    except Refused as refused:
        return _error(call, refused.errcode, refused.why)


def _error(call: ApiCall, errcode: int, why: str) -> Done:
    return _answer(call, {"errcode": errcode, "errmsg": errmsg(errcode, call.now, why)})


def _answer(call: ApiCall, content: Answered) -> Done:
    if isinstance(content, Raw):
        disposition = {"Content-disposition": f'attachment; filename="{content.filename}"'}
        return Done(Response(content.body, media_type=content.mime, headers=disposition), 0)
    media_type = PLAIN if call.fault == "text_plain" else JSON
    response = Response(msgspec.json.encode(content), media_type=media_type)
    return Done(response, content.get("errcode", 0))
