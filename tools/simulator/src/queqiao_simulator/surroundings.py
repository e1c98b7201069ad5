"""What is neither the API nor the control API: files by address, an AI bot's response_url, OAuth.

Everything is under `/simulated`, but for the two addresses that clients know by heart.
"""

import time
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from queqiao_simulator import pictures, sending
from queqiao_simulator.accounts import Account
from queqiao_simulator.captions import caption_of_reply
from queqiao_simulator.errors import errmsg
from queqiao_simulator.refusals import Refused
from queqiao_simulator.transcript import Call
from queqiao_simulator.world import World

RESPONSE = "/simulated/aibot/response"
TOO_LONG = 45002
GONE = Response(status_code=404)
SCOPES = ("snsapi_base", "snsapi_userinfo")


def routes(world: World) -> APIRouter:
    """The routes beside the API host's."""
    router = APIRouter()

    async def medium(account: str, media_id: str) -> Response:
        return _medium(world, account, media_id)

    async def bot_file(name: str) -> Response:
        return _bot_file(world, name)

    async def response_url(request: Request) -> Response:
        code = request.query_params.get("response_code", "")
        return _respond(world, code, await request.body())

    async def qrcode(ticket: str = "") -> Response:
        return Response(pictures.jpeg(ticket, 29), media_type="image/jpeg")

    async def authorize(request: Request) -> Response:
        return _authorize(world, dict(request.query_params))

    router.add_api_route("/simulated/media/{account}/{media_id}", medium, methods=["GET"])
    router.add_api_route("/simulated/aibot/media/{name}", bot_file, methods=["GET"])
    router.add_api_route(RESPONSE, response_url, methods=["POST"])
    # Before the API host's own `/cgi-bin`: this one needs no token.
    router.add_api_route("/cgi-bin/showqrcode", qrcode, methods=["GET"])
    router.add_api_route("/connect/oauth2/authorize", authorize, methods=["GET"])
    return router


def _medium(world: World, account: str, media_id: str) -> Response:
    known = world.accounts.get(account)
    found = known.media.find(media_id, world.clock.now()) if known else None
    if found is None:
        return GONE
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600"}
    return Response(found.body, media_type=found.mime, headers=headers)


def _bot_file(world: World, name: str) -> Response:
    for account in world.accounts.values():
        if (body := account.bot.file(name, world.clock.now())) is not None:
            return Response(body, media_type="application/octet-stream")
    return GONE


def _respond(world: World, code: str, body: bytes) -> Response:
    """A bot's one later message: markdown, or a card in a single chat."""
    started, now, errcode, message = time.perf_counter(), world.clock.now(), 0, "ok"
    account = next((one for one in world.accounts.values() if one.bot.owns(code)), None)
    try:
        _respond_once(world, account, code, body)
    except Refused as refused:
        errcode, message = refused.errcode, errmsg(refused.errcode, now)
    ms = round((time.perf_counter() - started) * 1000, 2)
    owner = account.settings.id if account else ""
    world.calls.append(Call(at=round(now, 3), path=RESPONSE, account=owner, errcode=errcode, ms=ms))
    return _json({"errcode": errcode, "errmsg": message})


def _respond_once(world: World, account: Account | None, code: str, body: bytes) -> None:
    if account is None:
        raise Refused(40029)
    given = sending.decode(body)
    kind = given.get("msgtype")
    content = given.get(kind) if isinstance(kind, str) else None
    if kind not in ("markdown", "template_card") or not isinstance(content, dict):
        raise Refused(40008)
    text = str(content.get("content", ""))
    if kind == "markdown" and not text:
        raise Refused(44004)
    if len(text.encode()) > world.settings.bot.text_limit_bytes:
        raise Refused(TOO_LONG)
    known = account.bot.use_response(code, world.clock.now())
    chat = account.conversations[known.openid]
    shown = caption_of_reply(str(kind), text)
    more = {"card": content} if kind == "template_card" else {}
    world.show(account, chat, shown, kind=str(kind), via="webhook", content=more)


def _authorize(world: World, query: dict[str, str]) -> Response:
    """A page asks who the user is; `user` names who consents (the phone would know)."""
    account = next(
        (one for one in world.accounts.values() if one.settings.appid == query.get("appid")), None
    )
    scope, target = query.get("scope", ""), query.get("redirect_uri", "")
    if account is None or scope not in SCOPES or not target.startswith(("http://", "https://")):
        return Response("Scope 参数错误或没有 Scope 权限", status_code=400)
    chat = account.conversation(query.get("user") or world.settings.users[0])
    code = account.oauth.consent(chat.openid, scope, world.clock.now())
    back = urlencode({"code": code, "state": query.get("state", "")})
    return RedirectResponse(f"{target}{'&' if '?' in target else '?'}{back}", status_code=302)


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
