import json
import logging
import traceback
from collections.abc import Callable

import httpx
import msgspec
import pytest
from queqiao_wechat.client import (
    AmbiguousError,
    ApiError,
    Token,
    UnansweredError,
    UnreachableError,
    WeChatClient,
    fetch_stable_token,
)
from queqiao_wechat.errcodes import Action
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

API = "https://api.sim.local"
OK = {"errcode": 0, "errmsg": "ok"}


class Platform:
    """WeChat's side: answers from a list, then with ok, and remembers what it was sent."""

    def __init__(self, *answers: dict[str, object] | Response) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, str, bytes]] = []

    async def answer(self, request: Request) -> Response:
        token = request.query_params.get("access_token", "")
        self.requests.append((request.url.path, token, await request.body()))
        answer = self.answers.pop(0) if self.answers else OK
        # The real one also labels its JSON as text now and then.
        return answer if isinstance(answer, Response) else PlainTextResponse(json.dumps(answer))

    @property
    def http(self) -> httpx.AsyncClient:
        app = Starlette(routes=[Route("/{path:path}", self.answer, methods=["POST"])])
        return httpx.AsyncClient(transport=httpx.ASGITransport(app))

    @property
    def payload(self) -> dict[str, object]:
        return msgspec.json.decode(self.requests[-1][2], type=dict[str, object])


class Tokens:
    """A token source that counts: token-1, and after each renewal the next."""

    def __init__(self) -> None:
        self.number = 1

    async def get(self) -> str:
        return f"token-{self.number}"

    async def renew(self, stale: str) -> str:
        assert stale == await self.get()
        self.number += 1
        return await self.get()


def client_of(http: httpx.AsyncClient) -> WeChatClient:
    return WeChatClient(http, api_base=API, appid="wx1", secret="s3cret", tokens=Tokens())


def failing(error: Callable[[httpx.Request], Exception]) -> httpx.AsyncClient:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error(request)

    return httpx.AsyncClient(transport=httpx.MockTransport(fail))


async def test_a_text_is_sent_as_raw_utf8():
    """WeChat refuses escaped characters (40033)."""
    wechat = Platform()

    await client_of(wechat.http).send_text("o1", "你好\x00", ai=False)

    [(path, token, body)] = wechat.requests
    assert (path, token) == ("/cgi-bin/message/custom/send", "token-1")
    assert body == '{"touser":"o1","msgtype":"text","text":{"content":"你好"}}'.encode()


async def test_an_answer_of_a_model_is_marked_as_such():
    wechat = Platform()

    await client_of(wechat.http).send_text("o1", "你好", ai=True)

    assert wechat.payload["aimsgcontext"] == {"is_ai_msg": 1}


async def test_typing_can_be_shown_and_ended():
    wechat = Platform()
    client = client_of(wechat.http)

    await client.typing("o1")
    shown = wechat.payload
    await client.typing("o1", on=False)

    assert shown == {"touser": "o1", "command": "Typing"}
    assert wechat.payload == {"touser": "o1", "command": "CancelTyping"}
    assert wechat.requests[-1][0] == "/cgi-bin/message/custom/typing"


async def test_the_quota_is_cleared_without_a_token():
    wechat = Platform()

    await client_of(wechat.http).clear_quota()

    assert wechat.requests[-1][:2] == ("/cgi-bin/clear_quota/v2", "")
    assert wechat.payload == {"appid": "wx1", "appsecret": "s3cret"}


async def test_an_answer_without_an_errcode_is_a_success():
    answer = await client_of(Platform({"media_id": "M"}).http).api.call("/cgi-bin/x", {})

    assert answer == {"media_id": "M"}


@pytest.mark.parametrize("errcode", [45015, "45015"])
async def test_a_refusal_says_what_to_do(errcode):
    wechat = Platform({"errcode": errcode, "errmsg": "out of time limit rid: 1-2"})

    with pytest.raises(ApiError, match="45015") as caught:
        await client_of(wechat.http).send_text("o1", "x", ai=False)

    assert (caught.value.errcode, caught.value.action) == (45015, Action.DROP)
    assert caught.value.errmsg == "out of time limit rid: 1-2"
    assert len(wechat.requests) == 1


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
async def test_a_refused_token_is_renewed_once(errcode):
    wechat = Platform({"errcode": errcode, "errmsg": "invalid credential"})

    await client_of(wechat.http).send_text("o1", "x", ai=False)

    assert [token for _, token, _ in wechat.requests] == ["token-1", "token-2"]


async def test_a_token_refused_twice_is_an_error_not_a_loop():
    """The usual client renews without a bound, and burns the day's quota of tokens."""
    refusal = {"errcode": 40001, "errmsg": "invalid credential"}
    wechat = Platform(refusal, refusal, refusal)

    with pytest.raises(ApiError) as caught:
        await client_of(wechat.http).send_text("o1", "x", ai=False)

    assert caught.value.action is Action.REFRESH_TOKEN
    assert len(wechat.requests) == 2


@pytest.mark.parametrize(
    "error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError]
)
async def test_a_call_that_never_left_is_safe_to_repeat(error):
    http = failing(lambda request: error("no route", request=request))

    with pytest.raises(UnreachableError, match=error.__name__):
        await client_of(http).send_text("o1", "x", ai=False)


@pytest.mark.parametrize(
    ("error", "is_silence"),
    [
        (httpx.ReadTimeout, True),
        (httpx.ReadError, True),
        (httpx.RemoteProtocolError, True),
        (httpx.WriteTimeout, False),
        (httpx.WriteError, False),
        (httpx.DecodingError, False),
    ],
)
async def test_a_lost_answer_is_ambiguous(error, is_silence):
    """The text may stand in the chat already: whoever repeats must know."""
    http = failing(lambda request: error("lost", request=request))

    with pytest.raises(AmbiguousError, match=error.__name__) as caught:
        await client_of(http).send_text("o1", "x", ai=False)
    assert isinstance(caught.value, UnansweredError) is is_silence


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, "<html>", AmbiguousError),
        (200, '{"errcode":', AmbiguousError),
        (200, "[]", AmbiguousError),
        (200, '{"errcode":null}', AmbiguousError),
        (200, '{"errcode":"\\ud800"}', AmbiguousError),
        (502, "Bad Gateway", AmbiguousError),
        (504, "{}", AmbiguousError),
        (302, "", UnreachableError),
        (404, "Not Found", UnreachableError),
        (404, "{}", UnreachableError),
    ],
)
async def test_what_does_not_come_from_the_api_is_not_taken_for_its_answer(status, body, error):
    wechat = Platform(Response(body, status))

    with pytest.raises(error):
        await client_of(wechat.http).send_text("o1", "x", ai=False)


async def test_an_errcode_counts_whatever_the_http_status():
    wechat = Platform(Response('{"errcode":45009,"errmsg":"reach max"}', 500))

    with pytest.raises(ApiError) as caught:
        await client_of(wechat.http).send_text("o1", "x", ai=False)

    assert caught.value.action is Action.WAIT_DAY


async def test_no_token_stands_in_an_error():
    echo = Platform({"errcode": 45015, "errmsg": "bad access_token=token-1"}).http
    lost = failing(lambda request: httpx.ReadError(str(request.url), request=request))
    for http in (echo, lost):
        with pytest.raises((ApiError, AmbiguousError)) as caught:
            await client_of(http).send_text("o1", "x", ai=False)

        assert "token-1" not in "".join(traceback.format_exception(caught.value))


async def test_no_token_stands_in_the_log(caplog):
    """At level INFO, httpx logs every URL."""
    caplog.set_level(logging.DEBUG)

    await client_of(Platform().http).send_text("o1", "x", ai=False)

    assert "access_token=***" in caplog.text
    assert "token-1" not in caplog.text


async def test_a_stable_token_is_fetched():
    wechat = Platform({"access_token": "T" * 600, "expires_in": 7200})

    token = await fetch_stable_token(wechat.http, api_base=f"{API}/", appid="wx1", secret="s3cret")

    assert token == Token("T" * 600, 7200)
    assert "TTT" not in repr(token)
    assert wechat.requests[-1][0] == "/cgi-bin/stable_token"
    assert wechat.payload == {
        "grant_type": "client_credential",
        "appid": "wx1",
        "secret": "s3cret",
        "force_refresh": False,
    }


async def test_a_token_can_be_forced():
    wechat = Platform({"access_token": "T", "expires_in": 7200})

    await fetch_stable_token(wechat.http, api_base=API, appid="wx1", secret="s", force=True)

    assert wechat.payload["force_refresh"] is True


@pytest.mark.parametrize("answer", [{}, {"access_token": "T"}, {"access_token": 1}])
async def test_an_answer_without_a_token_is_an_error(answer):
    with pytest.raises(AmbiguousError, match="cannot be read"):
        await fetch_stable_token(Platform(answer).http, api_base=API, appid="wx1", secret="s")


async def test_a_wrong_secret_is_the_operators_business():
    wechat = Platform({"errcode": 40125, "errmsg": "invalid appsecret"})

    with pytest.raises(ApiError) as caught:
        await fetch_stable_token(wechat.http, api_base=API, appid="wx1", secret="s3cret")

    assert caught.value.action is Action.CONFIG
    assert "s3cret" not in str(caught.value)
