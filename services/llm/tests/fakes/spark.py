"""iFlytek Spark's chat protocol as its documentation says: a wrong signature never gets in."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, urlsplit

from queqiao_common.settings import Model, Secret
from websockets.asyncio.server import serve

from services.llm.tests.fakes.scenes import APP, KEY, NAME, SECRET, Play, Scene, words_of

AUTHORIZATION = re.compile(
    r'api_key="(?P<key>[^"]*)", *algorithm="hmac-sha256", *'
    r'headers="host date request-line", *signature="(?P<signature>[^"]*)"'
)
SKEW = 300
CODES = {Scene.ERROR: 10012, Scene.RATE_LIMITED: 11202}


def settings(url: str, key: str = KEY) -> Model:
    return Model(
        id="main",
        protocol="spark",
        base_url=url,
        model=NAME,
        app_id=APP,
        api_key=Secret(key),
        api_secret=Secret(SECRET),
    )


@asynccontextmanager
async def serving(scene: Scene) -> AsyncIterator[Play]:
    play = Play(scene)

    async def answer(connection):
        await _answer(play, connection)

    async with serve(answer, "127.0.0.1", 0, process_request=_admit) as server:
        play.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v3.5/chat"
        yield play


def _admit(connection, request):
    """Refuse whoever is not who the signed address says, as the platform's gateway does."""
    url = urlsplit(request.path)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    if query.keys() != {"authorization", "date", "host"}:
        return connection.respond(401, '{"message":"Unauthorized"}')
    if query["host"] != request.headers["Host"]:
        return connection.respond(401, '{"message":"HMAC signature does not match"}')
    if abs(parsedate_to_datetime(query["date"]).timestamp() - time.time()) > SKEW:
        return connection.respond(403, '{"message":"HMAC signature cannot be verified"}')
    claim = f"host: {query['host']}\ndate: {query['date']}\nGET {url.path} HTTP/1.1"
    right = base64.b64encode(hmac.digest(SECRET.encode(), claim.encode(), hashlib.sha256)).decode()
    found = AUTHORIZATION.fullmatch(base64.b64decode(query["authorization"]).decode())
    if found is None or found["key"] != KEY or found["signature"] != right:
        return connection.respond(401, '{"message":"HMAC signature does not match"}')
    return None


async def _answer(play: Play, connection):
    question = json.loads(await connection.recv())
    heard = play.heard = [
        (one["role"], one["content"]) for one in question["payload"]["message"]["text"]
    ]
    if question["header"]["app_id"] != APP:
        return await _refuse(connection, 10016, "no such application")
    if question["parameter"]["chat"]["domain"] != NAME:
        return await _refuse(connection, 10005, "no such domain")
    if code := CODES.get(play.scene):
        return await _refuse(connection, code, words_of("failed", heard))
    if play.scene is Scene.HANG:
        return await _hang(play, connection)
    parts = play.parts(heard)
    for number, part in enumerate(parts or [""]):
        last = number + 1 >= len(parts) and play.scene not in {Scene.CUT, Scene.GARBAGE}
        await connection.send(_frame(number, part, last=last))
    if play.scene is Scene.CUT:
        connection.transport.abort()
    if play.scene is Scene.GARBAGE:
        await connection.send("<html>")
    return await connection.wait_closed()


async def _refuse(connection, code, message):
    header = {"code": code, "message": message, "sid": "s", "status": 2}
    await connection.send(json.dumps({"header": header}, ensure_ascii=False))


async def _hang(play, connection):
    await connection.wait_closed()
    play.abandoned.set()


def _frame(number, part, *, last):
    status = 2 if last else min(number, 1)
    text = [{"content": part, "role": "assistant", "index": 0}]
    payload = {"choices": {"status": status, "seq": number, "text": text}}
    if last:
        tokens = {"question_tokens": 2, "prompt_tokens": 3, "completion_tokens": 5}
        payload["usage"] = {"text": tokens | {"total_tokens": 8}}
    header = {"code": 0, "message": "Success", "sid": "s", "status": status}
    return json.dumps({"header": header, "payload": payload}, ensure_ascii=False)
