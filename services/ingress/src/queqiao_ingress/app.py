"""The public routes: bytes in, bytes out, one span, one log line and one count per callback."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from opentelemetry.util.types import AttributeValue
from prometheus_client import Counter
from queqiao_common import telemetry
from queqiao_common.settings import IngressSettings
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from queqiao_ingress.callback import SUCCESS, Callback, Door, Query, RejectedError
from queqiao_ingress.service import Answer, Ingress
from queqiao_ingress.sparing import Sparing
from queqiao_ingress.waiting import Gone

log = logging.getLogger(__name__)

ROUTE = "/wechat/{account}"
CALLBACK = re.compile("/wechat/([^/]+)")
STATUS = "http.response.status_code"
ANSWER = "queqiao.answer"
DELIVERY = "queqiao.wechat.delivery"
TIMESTAMP = re.compile(r"[0-9]{1,12}")
MOST_REFUSALS = 20
"""Lines a second about refusals; all of them are counted."""
LONGEST_NAME = 40  # characters of a path that names no account, in a log line

CALLBACKS = Counter(
    "queqiao_ingress_callbacks_total",
    "Callbacks, by account (empty: unknown) and answer (a rejection's reason).",
    ["account", "answer"],
)


class Entrance:
    """The two routes of every account. Query strings, openids and texts are never logged.

    `now_ms` is the wall clock, `clock` one in seconds that never goes back.
    """

    def __init__(
        self,
        *,
        doors: Mapping[str, Door],
        ingress: Ingress,
        settings: IngressSettings,
        now_ms: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._doors = doors
        self._ingress = ingress
        self._settings = settings
        self._now_ms = now_ms
        self._refusals = Sparing(per_second=MOST_REFUSALS, now=clock)

    def open(self, app: FastAPI) -> None:
        """Serve the routes; as plain ones, since no model has to be validated here."""
        app.add_route(ROUTE, self.verify, methods=["GET"])
        app.add_route(ROUTE, self.receive, methods=["POST"])

    def before(self, app: ASGIApp) -> ASGIApp:
        """Return `app` with callbacks served ahead of it.

        They need nothing of its routing and middlewares, which cost a tenth of a callback's CPU.
        """

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            path = CALLBACK.fullmatch(scope["path"]) if scope["type"] == "http" else None
            if path is None or scope["method"] != "POST":
                await app(scope, receive, send)
                return
            scope["path_params"] = {"account": path[1]}
            response = await self.receive(Request(scope, receive, send))
            await response(scope, receive, send)

        return serve

    async def verify(self, request: Request) -> Response:
        """Answer WeChat's check that the address is ours."""
        began = _loop_time()
        account = request.path_params["account"]
        try:
            echo = self._door(account).verify_url(request.query_params)
        except RejectedError as rejected:
            return self._reject(account, rejected, began)
        _report(account, "verified", began)
        return Response(echo, media_type="text/plain")

    async def receive(self, request: Request) -> Response:
        """Answer one callback, in the span that is the root of its message's trace."""
        began, received_ms = _loop_time(), self._now_ms()
        account = request.path_params["account"]
        attributes = {"http.request.method": "POST", "http.route": ROUTE}
        with telemetry.server_span(f"POST {ROUTE}", **attributes):
            try:
                door = self._door(account)
                door.greet(request.query_params)
                self._check_age(request.query_params, received_ms)
                body = await read_body(request, self._settings)
                callback = door.admit(request.query_params, body, received_ms=received_ms)
            except RejectedError as rejected:
                return self._reject(account, rejected, began)
            answer = await self._ingress.answer(callback, began=began, gone=_gone(request))
            return self._respond(account, callback, answer, began)

    def _door(self, account: str) -> Door:
        door = self._doors.get(account)
        if door is None:
            raise RejectedError(404, "unknown_account")
        return door

    def _check_age(self, query: Query, now_ms: int) -> None:
        """Refuse what was signed too long ago: whoever recorded a callback might repeat it.

        Off unless configured. WeChat documents no limit, and whether it signs a repeated delivery
        anew is not known.
        """
        limit, signed_at = self._settings.max_age, query.get("timestamp", "")
        if not limit:
            return
        seconds = int(signed_at) if TIMESTAMP.fullmatch(signed_at) else 0
        if abs(now_ms / 1000 - seconds) > limit:
            raise RejectedError(403, "stale")

    def _respond(self, account: str, callback: Callback, answer: Answer, began: float) -> Response:
        _report_answer(account, callback, answer, began)
        if answer.status != 200:
            return Response(status_code=answer.status)
        content = callback.wrapping.wrap(answer.reply, now=self._now_ms() // 1000)
        message, task = callback.message, None
        if message is not None and (answer.missed is not None or answer.carries):
            trace = telemetry.current_headers()
            task = BackgroundTask(self._ingress.follow_up, message, answer, trace)
        is_silent = content in (SUCCESS, b"")
        kind = "text/plain" if is_silent else callback.wrapping.media_type
        return Response(content, media_type=kind, background=task)

    def _reject(self, account: str, rejected: RejectedError, began: float) -> Response:
        """Refuse with an empty body; the connection goes too, as a body may be unread."""
        telemetry.note({STATUS: rejected.status})
        CALLBACKS.labels(account if account in self._doors else "", rejected.reason).inc()
        if self._refusals.admits():
            fields = {
                "account": account[:LONGEST_NAME],
                "reason": rejected.reason,
                "status": rejected.status,
                "ms": _ms_since(began),
            }
            if unlogged := self._refusals.kept_back():
                fields["unlogged"] = unlogged
            log.warning("callback.rejected", extra=fields)
        return Response(status_code=rejected.status, headers={"connection": "close"})


async def read_body(request: Request, settings: IngressSettings) -> bytes:
    """Read a body of at most `max_body` bytes within `body_timeout` seconds.

    Counted and timed here, because no server does (reliability reference D1).

    Raises:
        RejectedError: too large, too slow, or broken off.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_timeout):
            async for chunk in request.stream():
                body += chunk
                if len(body) > settings.max_body:
                    raise RejectedError(413, "body_too_large")
    except TimeoutError:
        raise RejectedError(408, "body_too_slow") from None
    except ClientDisconnect:
        raise RejectedError(400, "body_broken_off") from None
    return bytes(body)


def _gone(request: Request) -> Gone:
    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            continue

    return gone


def _report_answer(account: str, callback: Callback, answer: Answer, began: float) -> None:
    attributes: dict[str, AttributeValue] = {
        telemetry.ACCOUNT: account,
        DELIVERY: answer.delivery,
        ANSWER: answer.kind,
        STATUS: answer.status,
    }
    attributes |= {f"queqiao.wechat.{name}": value for name, value in callback.facts.items()}
    if callback.message is not None:
        attributes[telemetry.CONV] = callback.message.conv
    telemetry.note(attributes)
    fields: dict[str, Any] = {**callback.facts, "attempt": answer.delivery}
    if answer.trouble:
        fields["error"] = answer.trouble
    level = logging.WARNING if answer.trouble else logging.INFO
    _report(account, answer.kind, began, level, **fields)


def _report(
    account: str, answer: str, began: float, level: int = logging.INFO, **fields: Any
) -> None:
    CALLBACKS.labels(account, answer).inc()
    fields |= {"account": account, "answer": answer, "ms": _ms_since(began)}
    log.log(level, "callback.answered", extra=fields)


def _ms_since(began: float) -> float:
    return round((_loop_time() - began) * 1000, 1)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
