"""A simulator, and a small bot behind its callback, both on real sockets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from msgspec import Struct, field
from queqiao_simulator.answers import Tree, parse
from queqiao_simulator.app import create_app
from queqiao_simulator.driver import Driver
from queqiao_simulator.rules import BotRules, ContentRules, KfRules, WeComRules
from queqiao_simulator.server import cut, serving
from queqiao_simulator.settings import AccountSettings, Agent, PushRules, Settings
from queqiao_wechat.crypto import Cipher, decrypt_any
from queqiao_wechat.signature import is_signed, sign

CORPID = "ww_corp"
OLD_KEY = "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
DEADLINE = 20.0  # seconds; below the client's own timeout


class Received(Struct):
    """One delivery, as the bot saw it."""

    query: dict[str, str]
    body: bytes
    connection: tuple[str, int]

    @property
    def fields(self) -> Tree:
        return parse(self.body)

    @property
    def whole(self) -> bytes:
        """What an encrypted body says."""
        json_body = self.body.startswith(b"{")
        outer = json.loads(self.body) if json_body else parse(self.body)
        encrypt = outer.get("Encrypt") or outer["encrypt"]
        parts = (self.query["timestamp"], self.query["nonce"], encrypt)
        assert is_signed(self.query["msg_signature"], "bridge_token", *parts)
        return decrypt_any(CIPHERS, encrypt)[0]

    @property
    def secret(self) -> dict[str, Any]:
        """The fields of an encrypted push, XML or JSON."""
        plain = self.whole
        return json.loads(plain) if plain.startswith(b"{") else parse(plain)


CIPHERS = [
    Cipher(key, receive_id)
    for key in (KEY, OLD_KEY)
    for receive_id in (CORPID, "", "wx_safe", "wx_both", "wx_mini")
]

Script = Callable[[Received], Awaitable[Response]]


async def say_success(_: Received) -> Response:
    return Response("success", media_type="text/plain")


class Bot(Struct):
    """Answers every push by its script; counts the deliveries. Silent, it proves nothing."""

    script: Script = say_success
    silent: bool = False
    received: list[Received] = field(default_factory=list)
    url: str = ""

    def replies(self, text: str) -> None:
        async def script(push: Received) -> Response:
            return Response(passive(push.fields, text))

        self.script = script

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)

        @app.get("/wechat")
        async def verify(request: Request) -> Response:
            query = dict(request.query_params)
            parts = [query["timestamp"], query["nonce"]]
            if "msg_signature" in query:
                parts.append(query["echostr"])
            signature = query.get("msg_signature") or query["signature"]
            if not is_signed(signature, "bridge_token", *parts):
                return Response(status_code=403)
            if self.silent:
                await asyncio.Event().wait()
            echo = query["echostr"]
            if "msg_signature" in query:
                echo = decrypt_any(CIPHERS, echo)[0].decode()
            return Response(echo, media_type="text/plain")

        @app.post("/wechat")
        async def push(request: Request) -> Response:
            client = (request.client.host, request.client.port)
            seen = Received(dict(request.query_params), await request.body(), client)
            self.received.append(seen)
            response = await self.script(seen)
            if response.status_code == 599:
                await cut(request)
            return response

        return app


def passive(fields: Tree, text: str, **changes: str) -> bytes:
    """A passive text reply to a push with these fields."""
    values = {
        "ToUserName": fields["FromUserName"],
        "FromUserName": fields["ToUserName"],
        "CreateTime": "1767225601",
        "MsgType": "text",
        "Content": text,
        **changes,
    }
    inner = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in values.items())
    return f"<xml>{inner}</xml>".encode()


def sealed_json(push: Received, answer: dict[str, Any]) -> Response:
    """An AI bot's answer to a push."""
    encrypt = Cipher(KEY, "").encrypt(json.dumps(answer, ensure_ascii=False).encode())
    timestamp, nonce = int(time.time()), push.query["nonce"]
    signature = sign("bridge_token", str(timestamp), nonce, encrypt)
    body = {"encrypt": encrypt, "msgsignature": signature, "timestamp": timestamp, "nonce": nonce}
    return Response(json.dumps(body))


def sealed_xml(push: Received, plain: bytes, receive_id: str) -> Response:
    """An encrypted passive reply to a push."""
    encrypt = Cipher(KEY, receive_id).encrypt(plain)
    timestamp, nonce = str(int(time.time())), push.query["nonce"]
    signature = sign("bridge_token", timestamp, nonce, encrypt)
    parts = {"Encrypt": encrypt, "MsgSignature": signature, "TimeStamp": timestamp, "Nonce": nonce}
    inner = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in parts.items())
    return Response(f"<xml>{inner}</xml>")


class Stage:
    """A running simulator, driven through its HTTP interface alone."""

    def __init__(self, url: str, http: httpx.AsyncClient, bot: Bot) -> None:
        self.url, self.http, self.bot = url, http, bot
        self.driver = Driver(http)

    async def control(self, method: str, path: str, **options: Any) -> Any:
        response = await self.http.request(method, f"/control{path}", **options)
        assert response.status_code == 200, response.text
        return response.json()

    async def say(self, text: str = "你好", user: str = "小鹊", account: str = "main", **more: Any):
        body = {"account": account, "user": user, "text": text, **more}
        return await self.control("POST", "/messages", json=body)

    async def transcript(self, user: str = "小鹊", account: str = "main") -> list[dict[str, Any]]:
        return await self.control("GET", "/transcript", params={"account": account, "user": user})

    async def pushes(self, user: str = "小鹊", account: str = "main") -> list[dict[str, Any]]:
        return await self.control("GET", "/pushes", params={"account": account, "user": user})

    async def settled(self, user: str = "小鹊", account: str = "main") -> list[dict[str, Any]]:
        """The user's transcript once nothing is in flight."""
        left = await self.control("POST", "/settle", json={"timeout": DEADLINE})
        assert left == {"in_flight": 0}
        return await self.transcript(user, account)

    async def token(self, account: str = "main") -> str:
        client = {"grant_type": "client_credential", "appid": f"wx_{account}", "secret": "s"}
        return (await self.http.get("/cgi-bin/token", params=client)).json()["access_token"]

    async def corp_token(self, secret: str) -> str:
        client = {"corpid": CORPID, "corpsecret": secret}
        return (await self.http.get("/cgi-bin/gettoken", params=client)).json()["access_token"]

    async def api(self, path: str, token: str, body: Any = None, **query: Any) -> dict[str, Any]:
        """Call the API: POST with a body, else GET."""
        params = {"access_token": token, **query}
        method = "GET" if body is None else "POST"
        response = await self.http.request(method, path, params=params, json=body)
        return response.json()

    async def send(self, openid: str, text: str, token: str, **more: Any) -> dict[str, Any]:
        body = {"touser": openid, "msgtype": "text", "text": {"content": text}, **more}
        path = "/cgi-bin/message/custom/send"
        return (await self.http.post(path, params={"access_token": token}, json=body)).json()


def settings_for(callback: str, **push: Any) -> Settings:
    """Accounts in every mode, and timings that tests can wait for."""

    def account(id: str, **more: Any) -> AccountSettings:  # noqa: A002
        common = {
            "appid": f"wx_{id}",
            "secret": "s",
            "token": "bridge_token",
            "aes_key": KEY,
            "previous_aes_key": OLD_KEY,
            "callbacks": (callback,),
        }
        return AccountSettings(id=id, **(common | more))

    quick = {"answer_timeout": 3.0, "connect_timeout": 3.0, "refused_pause": 0.0}
    return Settings(
        accounts=(
            account("main", name="鹊桥", original_id="gh_0123456789ab", agents=AGENTS),
            account("paper", name="鹊报", kind="subscription"),
            account("fenced", ip_allowlist=("192.0.2.1",)),
            account("safe", mode="safe"),
            account("both", mode="compat"),
            account("mini", kind="miniprogram", format="json", agents=AGENTS),
            account("app", kind="wecom", appid=CORPID, secret="app"),
            account("desk", kind="wecom_kf", appid=CORPID, secret="kf", open_kfid="wk_desk"),
            account("desk2", kind="wecom_kf", appid=CORPID, secret="kf", open_kfid="wk_desk2"),
            account("robot", kind="wecom_bot", appid="aib_robot"),
        ),
        push=PushRules(**(quick | push)),
        wecom=WeComRules(echo_timeout=3.0),
        bot=BotRules(poll_every=0.01),
        kf=KfRules(fail_delay=0.0),
        content=ContentRules(per_minute=50, media_delay=60.0),
    )


AGENTS = (
    Agent(account="kf01@demo", name="小王", greeting="您好，我是小王"),
    Agent(account="kf02@demo", name="小李"),
)


@asynccontextmanager
async def staging(bot: Bot, **push: Any) -> AsyncIterator[Stage]:
    """A bot and a simulator that pushes to it."""
    async with AsyncExitStack() as stack:
        bot.url = await stack.enter_async_context(serving(bot.app())) + "/wechat"
        url = await stack.enter_async_context(serving(create_app(settings_for(bot.url, **push))))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30.0))
        yield Stage(url, http, bot)


@pytest.fixture(scope="session")
async def theatre() -> AsyncIterator[Stage]:
    async with staging(Bot()) as running:
        yield running


@pytest.fixture
async def stage(theatre: Stage) -> AsyncIterator[Stage]:
    """A simulator that remembers nothing, and a bot that says `success`."""
    theatre.bot.script, theatre.bot.silent = say_success, False
    theatre.bot.received.clear()
    await theatre.control("POST", "/reset")
    yield theatre
    await theatre.control("POST", "/settle", json={"timeout": DEADLINE})


@pytest.fixture
def stage_with() -> Callable[..., Any]:
    """Build a stage with other push rules: `async with stage_with(deliveries=1) as stage`."""
    return lambda **push: staging(Bot(), **push)


@pytest.fixture
def settings() -> Settings:
    """The stage's accounts; nobody answers at their callback."""
    return settings_for("http://127.0.0.1:1/wechat", deliveries=1)


@pytest.fixture
def passive_reply() -> Callable[..., bytes]:
    return passive


@pytest.fixture
def bot_answer() -> Callable[..., Response]:
    return sealed_json


@pytest.fixture
def secret_reply() -> Callable[..., Response]:
    """Answer an encrypted push with an encrypted passive text."""

    def reply(push: Received, text: str, receive_id: str = CORPID) -> Response:
        return sealed_xml(push, passive(push.secret, text), receive_id)

    return reply
