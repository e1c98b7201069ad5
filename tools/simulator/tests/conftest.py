"""A simulator, and a small bot behind its callback, both on real sockets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from msgspec import Struct, field
from queqiao_simulator.answers import Tree, parse
from queqiao_simulator.app import create_app
from queqiao_simulator.server import cut, serving
from queqiao_simulator.settings import AccountSettings, PushRules, Settings
from queqiao_wechat.signature import is_signed

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
DEADLINE = 4.0  # seconds; below httpx's own timeout


class Received(Struct):
    """One delivery, as the bot saw it."""

    query: dict[str, str]
    body: bytes
    connection: tuple[str, int]

    @property
    def fields(self) -> Tree:
        return parse(self.body)


Script = Callable[[Received], Awaitable[Response]]


async def say_success(_: Received) -> Response:
    return Response("success", media_type="text/plain")


class Bot(Struct):
    """Answers every push by its script; counts the deliveries."""

    script: Script = say_success
    received: list[Received] = field(default_factory=list)
    url: str = ""

    def replies(self, text: str) -> None:
        async def script(push: Received) -> Response:
            return Response(passive(push.fields, text))

        self.script = script

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)

        @app.get("/wechat")
        async def verify(signature: str, echostr: str, timestamp: str, nonce: str) -> Response:
            if not is_signed(signature, "bridge_token", timestamp, nonce):
                return Response(status_code=403)
            return Response(echostr, media_type="text/plain")

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


class Stage:
    """A running simulator, driven through its HTTP interface alone."""

    def __init__(self, url: str, http: httpx.AsyncClient, bot: Bot) -> None:
        self.url, self.http, self.bot = url, http, bot

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

    async def send(self, openid: str, text: str, token: str, **more: Any) -> dict[str, Any]:
        body = {"touser": openid, "msgtype": "text", "text": {"content": text}, **more}
        path = "/cgi-bin/message/custom/send"
        return (await self.http.post(path, params={"access_token": token}, json=body)).json()


def settings_for(callback: str, **push: Any) -> Settings:
    """Accounts in every mode, and timings that tests can wait for."""

    def account(id: str, **more: Any) -> AccountSettings:  # noqa: A002
        return AccountSettings(
            id=id,
            appid=f"wx_{id}",
            secret="s",
            token="bridge_token",
            aes_key=KEY,
            callbacks=(callback,),
            **more,
        )

    quick = {"answer_timeout": 0.2, "connect_timeout": 0.5, "refused_pause": 0.0}
    return Settings(
        accounts=(
            account("main", name="鹊桥", original_id="gh_0123456789ab"),
            account("paper", name="鹊报", kind="subscription"),
            account("safe", mode="safe"),
            account("both", mode="compat"),
        ),
        push=PushRules(**(quick | push)),
    )


@asynccontextmanager
async def staging(bot: Bot, **push: Any) -> AsyncIterator[Stage]:
    """A bot and a simulator that pushes to it."""
    async with AsyncExitStack() as stack:
        bot.url = await stack.enter_async_context(serving(bot.app())) + "/wechat"
        url = await stack.enter_async_context(serving(create_app(settings_for(bot.url, **push))))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url))
        yield Stage(url, http, bot)


@pytest.fixture(scope="session")
async def theatre() -> AsyncIterator[Stage]:
    async with staging(Bot()) as running:
        yield running


@pytest.fixture
async def stage(theatre: Stage) -> AsyncIterator[Stage]:
    """A simulator that remembers nothing, and a bot that says `success`."""
    theatre.bot.script = say_success
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
