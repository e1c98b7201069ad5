"""The public routes: bytes in, bytes out, one span, one log line and one count per callback."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from prometheus_client import Counter
from queqiao_common import telemetry
from queqiao_common.events import InboundMessage
from queqiao_common.settings import IngressSettings
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect

from queqiao_ingress.callback import SUCCESS, Callback, Door, RejectedError
from queqiao_ingress.service import Answer, Ingress
from queqiao_ingress.waiting import Gone

log = logging.getLogger(__name__)

ROUTE = "/wechat/{account}"
STATUS = "http.response.status_code"
ANSWER = "queqiao.answer"
DELIVERY = "queqiao.wechat.delivery"
LONGEST_NAME = 40  # characters of a path that names no account, in a log line

CALLBACKS = Counter(
    "queqiao_ingress_callbacks_total",
    "Callbacks, by account (empty: unknown) and answer (a rejection's reason).",
    ["account", "answer"],
)


class Entrance:
    """The two routes of every account. Query strings, openids and texts are never logged.

    `now_ms` is the wall clock.
    """

    def __init__(
        self,
        *,
        doors: Mapping[str, Door],
        ingress: Ingress,
        settings: IngressSettings,
        now_ms: Callable[[], int],
    ) -> None:
        self._doors = doors
        self._ingress = ingress
        self._settings = settings
        self._now_ms = now_ms

    def open(self, app: FastAPI) -> None:
        """Serve the routes; as plain ones, since no model has to be validated here."""
        app.add_route(ROUTE, self.verify, methods=["GET"])
        app.add_route(ROUTE, self.receive, methods=["POST"])

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
                body = await read_body(request, self._settings)
                callback = door.admit(request.query_params, body, received_ms=received_ms)
            except RejectedError as rejected:
                return self._reject(account, rejected, began)
            answer = await self._ingress.answer(callback, began=began, gone=_gone(request))
            return self._respond(callback, answer, began)

    def _door(self, account: str) -> Door:
        door = self._doors.get(account)
        if door is None:
            raise RejectedError(404, "unknown_account")
        return door

    def _respond(self, callback: Callback, answer: Answer, began: float) -> Response:
        _report_answer(callback.message, answer, began)
        if answer.status != 200:
            return Response(status_code=answer.status)
        content = callback.answer(answer.text, now=self._now_ms() // 1000)
        task = None
        if answer.missed is not None or answer.carries:
            trace = telemetry.current_headers()
            task = BackgroundTask(self._ingress.follow_up, callback.message, answer, trace)
        kind = "text/plain" if content == SUCCESS else "application/xml"
        return Response(content, media_type=kind, background=task)

    def _reject(self, account: str, rejected: RejectedError, began: float) -> Response:
        """Refuse with an empty body; the connection goes too, as a body may be unread."""
        telemetry.note({STATUS: rejected.status})
        CALLBACKS.labels(account if account in self._doors else "", rejected.reason).inc()
        fields = {
            "account": account[:LONGEST_NAME],
            "reason": rejected.reason,
            "status": rejected.status,
            "ms": _ms_since(began),
        }
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


def _report_answer(message: InboundMessage, answer: Answer, began: float) -> None:
    telemetry.note(
        {
            telemetry.ACCOUNT: message.account,
            telemetry.CONV: message.conv,
            DELIVERY: answer.delivery,
            ANSWER: answer.kind,
            STATUS: answer.status,
        }
    )
    fields: dict[str, Any] = {"msgid": message.msgid, "attempt": answer.delivery}
    if message.platform_event:
        fields["platform_event"] = message.platform_event
    if answer.trouble:
        fields["error"] = answer.trouble
    level = logging.WARNING if answer.trouble else logging.INFO
    _report(message.account, answer.kind, began, level, **fields)


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
