"""A client nobody wrote for us must work: wechatpy 1.8, as it comes."""

import asyncio

import pytest
from fastapi import Response
from queqiao_simulator.answers import parse
from requests.adapters import HTTPAdapter
from wechatpy.client import WeChatClient
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import WeChatClientException

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


class Redirected(HTTPAdapter):
    """Sends what is meant for the platform to the simulator: the client notices nothing."""

    def __init__(self, url):
        super().__init__()
        self.url = url

    def send(self, request, **options):
        request.url = request.url.replace("https://api.weixin.qq.com", self.url)
        return super().send(request, **options)


@pytest.fixture
def client(stage):
    client = WeChatClient("wx_main", "s")
    client._http.mount("https://api.weixin.qq.com", Redirected(stage.url))
    with client._http:
        yield client


async def test_the_client_fetches_a_token_and_sends(stage, client):
    said = await stage.say()

    await asyncio.to_thread(client.message.send_text, said["openid"], "你好，世界")
    entry = (await stage.transcript())[-1]

    assert (entry["text"], entry["via"]) == ("你好，世界", "api")


async def test_the_client_recovers_from_a_revoked_token(stage, client):
    said = await stage.say()
    rule = {"kind": "revoke_token", "path": "/cgi-bin/message/custom/send", "count": 1}
    await stage.control("PUT", "/faults", json=[rule])

    await asyncio.to_thread(client.message.send_text, said["openid"], "二次")

    assert (await stage.transcript())[-1]["text"] == "二次"


async def test_the_client_sees_the_errcode(stage, client):
    with pytest.raises(WeChatClientException) as caught:
        await asyncio.to_thread(client.message.send_text, "nobody", "x")

    assert caught.value.errcode == 40003


@pytest.mark.parametrize("account", ["safe", "both"])
async def test_its_crypto_opens_our_pushes_and_we_open_its_replies(stage, passive_reply, account):
    crypto = WeChatCrypto("bridge_token", KEY, f"wx_{account}")

    async def script(push):
        query = push.query
        plain = crypto.decrypt_message(
            push.body, query["msg_signature"], query["timestamp"], query["nonce"]
        )
        reply = passive_reply(parse(plain.encode()), "密文").decode()
        return Response(crypto.encrypt_message(reply, query["nonce"], query["timestamp"]))

    stage.bot.script = script

    await stage.say(account=account)

    assert (await stage.settled(account=account))[-1]["text"] == "密文"


async def test_safe_mode_refuses_a_reply_in_plain_text(stage, passive_reply):
    async def script(_):
        return Response(b"<xml><MsgType>text</MsgType></xml>")

    stage.bot.script = script

    await stage.say(account="safe")
    await stage.settled()
    [push] = await stage.pushes(account="safe")

    assert push["deliveries"][0]["reason"] == "safe mode: the reply is not encrypted"


async def test_safe_mode_takes_a_bare_success(stage):
    await stage.say(account="safe")
    await stage.settled()
    [push] = await stage.pushes(account="safe")

    assert push["result"] == "silent"
