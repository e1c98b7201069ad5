"""WeCom's API: its token, its members, its files."""

import json

import httpx
import pytest
from queqiao_wechat import bot_client, cards, media
from queqiao_wechat.client import (
    AmbiguousError,
    Api,
    ApiError,
    GoneError,
    TooLargeError,
    UnreachableError,
    fetch,
)
from queqiao_wechat.errcodes import WECOM, Action
from queqiao_wechat.wecom_client import WeComClient, fetch_wecom_token

API = "https://wecom.sim.local"


class Tokens:
    def __init__(self):
        self.number = 1

    async def get(self):
        return f"token-{self.number}"

    async def renew(self, stale):
        self.number += 1
        return await self.get()


class Platform:
    """Answers from a list, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.api = Api(self.http, api_base=API, tokens=Tokens(), codes=WECOM)

    def _answer(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    @property
    def payload(self):
        return json.loads(self.requests[-1].content)


OK = {"errcode": 0, "errmsg": "ok"}


async def test_every_app_has_a_token_of_its_own_secret():
    platform = Platform({"errcode": 0, "access_token": "T", "expires_in": 7200})

    token = await fetch_wecom_token(platform.http, api_base=API, corpid="ww1", secret="s3cret")

    assert token.access_token == "T"
    assert dict(platform.requests[0].url.params) == {"corpid": "ww1", "corpsecret": "s3cret"}


async def test_the_secret_is_in_no_log_and_no_error(caplog):
    caplog.set_level("DEBUG")
    platform = Platform({"errcode": 40001, "errmsg": "bad secret"})

    with pytest.raises(ApiError) as caught:
        await fetch_wecom_token(platform.http, api_base=API, corpid="ww1", secret="s3cret")

    assert caught.value.action is Action.CONFIG
    assert "s3cret" not in caplog.text + str(caught.value)


async def test_a_message_names_member_and_app():
    platform = Platform(OK)

    await WeComClient(platform.api, agent_id=7).send("zhang", cards.text("你好"))

    assert platform.payload == {
        "touser": "zhang", "agentid": 7, "msgtype": "text", "text": {"content": "你好"}
    }  # fmt: skip


async def test_a_member_who_cannot_be_reached_is_a_refusal_though_the_call_is_ok():
    """WeCom answers errcode 0 and names whom it left out: in lower case."""
    platform = Platform(OK | {"invaliduser": "li|zhang"}, OK | {"invaliduser": "someone"})
    client = WeComClient(platform.api, agent_id=7)

    with pytest.raises(ApiError) as caught:
        await client.send("Zhang", cards.text("你好"))

    assert (caught.value.errcode, caught.value.action) == (81013, Action.DROP)
    await client.send("Zhang", cards.text("你好"))


async def test_a_file_is_uploaded_as_what_its_bytes_say():
    platform = Platform({"errcode": 0, "media_id": "M1"})

    assert await media.upload(platform.api, "voice", b"#!AMR\nabc") == "M1"

    request = platform.requests[0]
    assert request.url.params["type"] == "voice"
    assert b'filename="voice.amr"' in request.content
    assert b"Content-Type: audio/amr" in request.content


async def test_a_download_ends_at_its_limit():
    platform = Platform(httpx.Response(200, content=b"x" * 2000))

    with pytest.raises(TooLargeError):
        await media.download(platform.api, "M1", limit_bytes=1000)


async def test_an_error_instead_of_a_file_is_an_error():
    """It comes with status 200, and sometimes labelled as text."""
    refusal = httpx.Response(200, text='{"errcode":40007,"errmsg":"invalid"}')
    platform = Platform(refusal, httpx.Response(200, json={"video_url": "http://a"}))

    with pytest.raises(ApiError) as caught:
        await media.download(platform.api, "M1", limit_bytes=1000)
    assert caught.value.errcode == 40007
    with pytest.raises(GoneError):
        await media.download(platform.api, "M2", limit_bytes=1000)


async def test_a_refused_token_is_renewed_for_a_download_too():
    refusal = httpx.Response(200, json={"errcode": 42001, "errmsg": "expired"})
    platform = Platform(refusal, httpx.Response(200, content=b"\xff\xd8\xff"))

    assert await media.download(platform.api, "M1", limit_bytes=1000) == b"\xff\xd8\xff"
    assert platform.requests[1].url.params["access_token"] == "token-2"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(302, headers={"Location": "http://10.0.0.1/"}), GoneError),
        (httpx.Response(404), GoneError),
        (httpx.Response(503), AmbiguousError),
        (httpx.ConnectError("refused"), UnreachableError),
        (httpx.ReadError("cut"), AmbiguousError),
    ],
)
async def test_an_address_is_fetched_as_it_is_or_not_at_all(answer, error):
    """A redirect could lead into our own network."""
    platform = Platform(answer)

    with pytest.raises(error):
        await fetch(platform.http, "https://mmbiz.qpic.cn/a", limit_bytes=1000)
    assert len(platform.requests) == 1


async def test_an_answer_by_response_url_is_markdown_without_a_token():
    platform = Platform(OK)

    await bot_client.respond(platform.http, f"{API}/r?response_code=c", cards.markdown("**好**"))

    assert platform.payload == {"msgtype": "markdown", "markdown": {"content": "**好**"}}
    assert "access_token" not in platform.requests[0].url.params
