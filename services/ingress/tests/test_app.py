import asyncio
import logging
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY
from queqiao_common import telemetry
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.events import WindowMissed
from queqiao_common.settings import Secret
from queqiao_ingress.app import MOST_REFUSALS
from queqiao_wechat.crypto import Cipher
from queqiao_wechat.signature import sign

from services.ingress.tests import wechat, wecom
from services.ingress.tests.site import NOW_MS, PATH, Site


def site(reply=None, /, *, delivery="active", ingress=None, **fields) -> Site:
    account = wechat.account(delivery=delivery, **fields)
    return Site(wechat.config(account, **(ingress or {})), reply=reply)


def refused(response: httpx.Response) -> int:
    """The status of a refusal, which says nothing and does not wait for the rest of a body."""
    assert response.content == b""
    assert response.headers["connection"] == "close"
    return response.status_code


# -- verification --------------------------------------------------------------------------------


async def test_the_address_is_verified_with_the_echo_as_plain_text():
    """Quotes round it, as of a JSON string, would fail WeChat's check."""
    response = await site().get(wechat.signed(echostr="5927782489 31+/="))

    assert (response.status_code, response.text) == (200, "5927782489 31+/=")
    assert response.headers["content-type"].startswith("text/plain")


async def test_a_bad_verification_is_forbidden():
    assert refused(await site().get({"echostr": "1"})) == 403


async def test_a_garbled_query_is_forbidden():
    response = await site().get("signature=%ff%zz&timestamp&nonce=%00&&=;&echostr=%ed%a0%80")

    assert refused(response) == 403


async def test_an_unknown_account_is_not_found():
    assert refused(await site().get(wechat.signed(echostr="1"), "/wechat/other")) == 404
    assert refused(await site().post(wechat.text(), path="/wechat/other")) == 404


# -- callbacks -----------------------------------------------------------------------------------


async def test_an_active_account_hears_success():
    one = site()

    response = await one.post(wechat.text("在吗"))

    assert (response.status_code, response.content) == (200, b"success")
    assert response.headers["content-type"].startswith("text/plain")
    message, missed = one.broker.stored
    assert message.text == "在吗"
    assert message.received_ms == NOW_MS
    assert isinstance(missed, WindowMissed)


async def test_a_reply_in_time_is_the_body_of_the_answer():
    one = site("答案", delivery="auto")

    response = await one.post(wechat.text("问"))

    assert wechat.said(response.content) == "答案"
    assert response.headers["content-type"].startswith("application/xml")
    assert [type(event).__name__ for event in one.broker.stored] == ["InboundMessage", "ReplyGiven"]


async def test_a_safe_mode_reply_is_encrypted_and_signed_for_this_request():
    one = site("答案", delivery="auto", aes_key=Secret(wechat.AES_KEY))
    query, body = wechat.sealed(wechat.text("问"))

    response = await one.post(body, query)

    assert wechat.said(wechat.unsealed(response.content)) == "答案"


async def test_a_repeat_is_encrypted_anew_but_says_the_same():
    one = site("答案", delivery="passive", aes_key=Secret(wechat.AES_KEY))
    first, second = [wechat.sealed(wechat.text("问")) for _ in range(2)]

    answers = [(await one.post(body, query)).content for query, body in (first, second)]

    assert answers[0] != answers[1]
    assert [wechat.said(wechat.unsealed(one)) for one in answers] == ["答案", "答案"]


async def test_the_busy_text_is_a_reply_and_nothing_is_published():
    one = site(delivery="auto", ingress={"max_waiting": 1})
    async with holding(one):
        response = await one.post(wechat.text("二", msgid="2"))

    assert wechat.said(response.content) == "现在咨询的人有点多，请稍后再发一次。"
    assert [event.text for event in one.broker.stored] == ["一"]


async def test_without_a_broker_the_answer_is_503_and_empty():
    one = site()
    one.broker.fails_with = BrokerUnavailable("no answer")

    response = await one.post(wechat.text())

    assert (response.status_code, response.content) == (503, b"")


# -- refusals ------------------------------------------------------------------------------------


async def test_a_forged_callback_is_forbidden():
    one = site()

    assert refused(await one.post(wechat.text(), wechat.signed(nonce="1"))) == 403
    assert one.broker.stored == []


async def test_another_accounts_ciphertext_is_forbidden():
    one = site(aes_key=Secret(wechat.AES_KEY))
    query, body = wechat.sealed(wechat.text(), cipher=Cipher(wechat.AES_KEY, "wx_other"))

    assert refused(await one.post(body, query)) == 403


@pytest.mark.parametrize(("seconds", "status"), [(-600, 200), (-601, 403), (601, 403), (None, 403)])
async def test_old_signatures_are_refused_where_that_is_configured(seconds, status):
    """It is off by itself: nothing says that WeChat signs a repeated delivery anew."""
    stamp = "x" if seconds is None else str(NOW_MS // 1000 + seconds)
    query = {"timestamp": stamp, "nonce": "1", "signature": sign(wechat.TOKEN, stamp, "1")}

    strict = await site(ingress={"max_age": 600.0}).post(wechat.text(), query)
    lenient = await site().post(wechat.text(), query)

    assert (strict.status_code, lenient.status_code) == (status, 200)


async def test_an_unsigned_body_is_not_even_read():
    """To read it would cost a connection for seconds, and memory."""
    read: list[int] = []

    async def body():
        read.append(1)
        yield b"<xml>"

    one = site(aes_key=Secret(wechat.AES_KEY))

    assert refused(await one.post(body(), {"msg_signature": "0"})) == 403
    assert refused(await site().post(body(), {})) == 403
    assert read == []


async def test_a_bots_answer_is_json_and_its_silence_is_empty():
    account = wecom.account("wecom_bot", welcome="")
    one = Site(wechat.config(account))
    query, body = wecom.to_bot(wecom.message())
    answer = await one.post(body, query)
    query, body = wecom.to_bot(wecom.message(msgtype="event", event={"eventtype": "enter_chat"}))
    silence = await one.post(body, query)

    assert answer.headers["content-type"] == "application/json"
    assert wecom.bot_answer(answer.content)["stream"]["finish"] is False
    assert (silence.status_code, silence.content) == (200, b"")


async def test_a_body_that_is_no_message_is_a_bad_request():
    assert refused(await site().post(b"\x00")) == 400


async def test_a_body_is_counted_while_it_comes():
    """It may say nothing of its length, or lie: what counts is what arrives."""
    sent: list[int] = []

    async def endless():
        while True:
            sent.append(len(sent))
            yield b"x" * 1024

    response = await site(ingress={"max_body": 4096}).post(endless())

    assert refused(response) == 413
    assert len(sent) == 5


async def test_a_body_that_does_not_come_is_given_up():
    async def stuck():
        yield b"<xml>"
        await asyncio.Event().wait()

    response = await site(ingress={"body_timeout": 0.01}).post(stuck())

    assert refused(response) == 408


# -- a client that leaves ------------------------------------------------------------------------


class Connection:
    """A client of the bare ASGI application, which can hang up."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.is_watched = asyncio.Event()

    async def call(self, app) -> None:
        query = str(httpx.QueryParams(wechat.signed())).encode()
        scope = {
            "type": "http",
            "method": "POST",
            "path": PATH,
            "query_string": query,
            "headers": [],
        }
        await app(scope, self._receive, self._send)

    def send(self, body: bytes) -> None:
        self._messages.put_nowait({"type": "http.request", "body": body, "more_body": False})

    def hang_up(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def _receive(self):
        if self._messages.empty():
            self.is_watched.set()
        return await self._messages.get()

    async def _send(self, message) -> None:
        self.sent.append(message)


@asynccontextmanager
async def holding(one: Site):
    """Have a first message wait for the length of the context, until its client hangs up."""
    connection = Connection()
    connection.send(wechat.text("一", msgid="1"))
    call = asyncio.create_task(connection.call(one.app))
    await connection.is_watched.wait()
    yield
    connection.hang_up()
    await call


async def test_a_client_that_hangs_up_frees_its_seat():
    """WeChat hangs up after 5 s, users' networks at any time: seats must not run out for that."""
    one = site(delivery="auto", ingress={"max_waiting": 1})
    for _ in range(2):
        async with holding(one):
            pass

    assert REGISTRY.get_sample_value("queqiao_ingress_waiting") == 0
    assert one.claims.documents == {}


async def test_a_client_that_hangs_up_within_its_body_is_no_error():
    connection = Connection()
    connection.hang_up()

    await connection.call(site().app)

    assert connection.sent[0]["status"] == 400


# -- what operators see --------------------------------------------------------------------------


async def test_a_callback_is_one_line_without_what_was_said_or_by_whom(caplog):
    caplog.set_level(logging.INFO)
    one = site("秘密的回答", delivery="auto")

    await one.post(wechat.text("秘密的问题"))

    [line] = [record for record in caplog.records if record.name.startswith("queqiao")]
    assert line.getMessage() == "callback.answered"
    fields = line.__dict__
    assert (fields["account"], fields["attempt"], fields["answer"]) == ("main", 1, "reply")
    assert fields["msgid"] == one.broker.stored[0].msgid
    assert fields["ms"] >= 0
    for secret in ("秘密", wechat.OPENID, wechat.TOKEN, wechat.NONCE):
        assert secret not in str(fields)


@pytest.mark.parametrize(
    ("path", "reason"), [(PATH, "bad_signature"), ("/wechat/" + "x" * 90, "unknown_account")]
)
async def test_a_refusal_is_one_line_with_its_reason(caplog, path, reason):
    caplog.set_level(logging.INFO)

    await site().post(wechat.text(), wechat.signed(signature="secret"), path)

    [line] = [record for record in caplog.records if record.name.startswith("queqiao")]
    assert line.getMessage() == "callback.rejected"
    assert line.__dict__["reason"] == reason
    assert len(line.__dict__["account"]) <= 40
    assert "secret" not in str(line.__dict__)


async def test_a_flood_of_refusals_is_counted_and_not_written_down(caplog):
    caplog.set_level(logging.INFO)
    one = site()

    for _ in range(MOST_REFUSALS + 30):
        await one.post(wechat.text(), {})

    lines = [record for record in caplog.records if record.getMessage() == "callback.rejected"]
    assert len(lines) == MOST_REFUSALS


async def test_an_ignored_platform_event_is_named_in_its_line(caplog):
    caplog.set_level(logging.INFO)

    response = await site().post(wechat.event("VIEW"))

    assert response.content == b"success"
    [line] = [record for record in caplog.records if record.name.startswith("queqiao")]
    assert line.__dict__["platform_event"] == "view"
    assert line.__dict__["answer"] == "ignored"


async def test_callbacks_are_counted_by_account_and_answer():
    def count(account, answer):
        labels = {"account": account, "answer": answer}
        return REGISTRY.get_sample_value("queqiao_ingress_callbacks_total", labels) or 0

    before = count("main", "success"), count("", "unknown_account")

    await site().post(wechat.text())
    await site().post(wechat.text(), path="/wechat/any-name-that-a-stranger-tries")

    after = count("main", "success"), count("", "unknown_account")
    assert [new - old for old, new in zip(before, after, strict=True)] == [1, 1]


async def test_a_callback_is_the_root_of_its_messages_trace(monkeypatch):
    """The announcement belongs to it too, though it is published when the span has ended."""
    provider, spans = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(telemetry, "EXPORTING", True)
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    one = site()

    await one.post(wechat.text())

    [span] = spans.get_finished_spans()
    assert (span.name, span.kind, span.parent) == (
        "POST /wechat/{account}",
        trace.SpanKind.SERVER,
        None,
    )
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["queqiao.answer"] == "success"
    assert wechat.OPENID not in str(span.attributes)
    within, parent = one.broker.traces
    trace_id = format(span.context.trace_id, "032x")
    assert trace_id == within
    assert trace_id in parent
