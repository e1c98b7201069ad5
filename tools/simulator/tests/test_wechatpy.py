"""A client nobody wrote for us must work: wechatpy 1.8, as it comes."""

import asyncio
import re
from io import BytesIO
from urllib.parse import parse_qs

import pytest
from fastapi import Response
from queqiao_simulator.answers import parse
from queqiao_simulator.pictures import jpeg
from queqiao_simulator.sealing import verification
from queqiao_simulator.settings import AccountSettings
from queqiao_wechat.crypto import Cipher

pytest.importorskip("wechatpy", reason="wechatpy is not installed")

from requests.adapters import HTTPAdapter
from wechatpy import parse_message
from wechatpy.client import WeChatClient
from wechatpy.crypto import WeChatCrypto
from wechatpy.enterprise import WeChatClient as WeComClient
from wechatpy.enterprise.crypto import WeChatCrypto as WeComCrypto
from wechatpy.exceptions import WeChatClientException, WeChatOAuthException
from wechatpy.oauth import WeChatOAuth
from wechatpy.replies import ImageReply, TextReply

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


class Redirected(HTTPAdapter):
    """Sends what is meant for the platform to the simulator: the client notices nothing."""

    def __init__(self, url):
        super().__init__()
        self.url = url

    def send(self, request, **options):
        request.url = re.sub(r"^https://[^/]+", self.url, request.url)
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


# -- more of the same client --------------------------------------------------------------------


async def test_the_client_uploads_and_downloads_media(stage, client):
    picture = jpeg("a")

    kept = await asyncio.to_thread(
        client.media.upload, "image", ("a.jpg", BytesIO(picture), "image/jpeg")
    )
    back = await asyncio.to_thread(client.media.download, kept["media_id"])

    assert back.content == picture
    with pytest.raises(WeChatClientException) as caught:
        await asyncio.to_thread(client.media.download, "nowhere")
    assert caught.value.errcode == 40007


async def test_the_client_manages_the_menu(stage, client):
    menu = {"button": [{"type": "click", "name": "帮助", "key": "HELP"}]}

    await asyncio.to_thread(client.menu.create, menu)
    read = await asyncio.to_thread(client.menu.get)
    info = await asyncio.to_thread(client.menu.get_menu_info)
    await asyncio.to_thread(client.menu.delete)

    assert read == {"menu": menu}
    assert info["is_menu_open"] == 1
    assert await asyncio.to_thread(client.menu.get) is None


async def test_the_client_sends_pictures_articles_and_cards(stage, client):
    said = await stage.say()
    kept = await asyncio.to_thread(
        client.media.upload, "image", ("a.jpg", BytesIO(jpeg("a")), "image/jpeg")
    )
    article = {"title": "标题", "description": "摘要", "url": "https://a.example", "image": ""}
    page = {
        "title": "订单",
        "appid": "wx1",
        "pagepath": "p",
        "thumb_media_id": kept["media_id"],
    }

    await asyncio.to_thread(client.message.send_image, said["openid"], kept["media_id"])
    await asyncio.to_thread(client.message.send_articles, said["openid"], [article])
    await asyncio.to_thread(client.message.send_mini_program_page, said["openid"], page)
    shown = [entry for entry in await stage.transcript() if entry["who"] == "account"]

    assert [entry["kind"] for entry in shown] == ["image", "news", "miniprogrampage"]
    assert shown[1]["content"]["articles"][0]["title"] == "标题"


async def test_the_client_knows_users_codes_and_people(stage, client):
    said = await stage.say()
    scene = {
        "expire_seconds": 60,
        "action_name": "QR_SCENE",
        "action_info": {"scene": {"scene_id": 1}},
    }

    user = await asyncio.to_thread(client.user.get, said["openid"])
    code = await asyncio.to_thread(client.qrcode.create, scene)
    people = await asyncio.to_thread(client.customservice.get_accounts)
    addresses = await asyncio.to_thread(client.misc.get_wechat_ips)

    assert user["subscribe"] == 1
    assert code["expire_seconds"] == 60
    assert [one["kf_account"] for one in people] == ["kf01@demo", "kf02@demo"]
    assert addresses == ["127.0.0.1"]


async def test_its_parser_and_replies_fit_ours(stage):
    async def script(push):
        message = parse_message(push.body)
        reply = ImageReply if message.type == "image" else TextReply
        text = {"media_id": message.media_id} if message.type == "image" else {"content": "好"}
        return Response(reply(message=message, **text).render())

    stage.bot.script = script
    await stage.say()
    await stage.driver.picture("main", "小鹊")
    entries = await stage.settled()

    # A user's picture is in the account's material, so it may be sent back.
    shown = [entry["kind"] for entry in entries if entry["who"] == "account"]
    assert sorted(shown) == ["image", "text"]


async def test_its_oauth_gets_a_page_its_user(stage):
    consent = {"account": "main", "user": "小鹊", "scope": "snsapi_userinfo"}
    code = (await stage.control("POST", "/oauth", json=consent))["code"]
    oauth = WeChatOAuth("wx_main", "s", "https://a.example/")
    oauth._http.mount("https://api.weixin.qq.com", Redirected(stage.url))

    with oauth._http:
        visit = await asyncio.to_thread(oauth.fetch_access_token, code)
        info = await asyncio.to_thread(oauth.get_user_info)
        with pytest.raises(WeChatOAuthException):
            await asyncio.to_thread(oauth.fetch_access_token, code)

    assert visit["openid"] == info["openid"]
    assert info["nickname"] == "小鹊"


@pytest.fixture
def company(stage):
    client = WeComClient("ww_corp", "app")
    client._http.mount("https://qyapi.weixin.qq.com", Redirected(stage.url))
    with client._http:
        yield client


async def test_the_company_client_sends_to_members(stage, company):
    await stage.say(account="app", user="zhangsan")
    kept = await asyncio.to_thread(
        company.media.upload, "image", ("a.jpg", BytesIO(jpeg("a")), "image/jpeg")
    )

    await asyncio.to_thread(company.message.send_text, 1000002, "zhangsan", "你好")
    await asyncio.to_thread(company.message.send_image, 1000002, "zhangsan", kept["media_id"])
    await asyncio.to_thread(company.message.send_markdown, 1000002, "zhangsan", "**粗**")
    entries = await stage.transcript("zhangsan", "app")

    assert [one["kind"] for one in entries] == ["text", "text", "image", "markdown"]


async def test_the_companys_crypto_opens_our_pushes_and_we_open_its_replies(stage, passive_reply):
    crypto = WeComCrypto("bridge_token", KEY, "ww_corp")

    async def script(push):
        query = push.query
        plain = crypto.decrypt_message(
            push.body, query["msg_signature"], query["timestamp"], query["nonce"]
        )
        reply = passive_reply(parse(plain.encode()), "密文").decode()
        return Response(crypto.encrypt_message(reply, query["nonce"], query["timestamp"]))

    stage.bot.script = script

    await stage.say(account="app", user="zhangsan")

    assert (await stage.settled("zhangsan", "app"))[-1]["text"] == "密文"


async def test_the_companys_crypto_answers_our_verification(stage):
    cipher = Cipher(KEY, "ww_corp")
    settings = AccountSettings(
        id="a", appid="ww_corp", token="bridge_token", aes_key=KEY, kind="wecom"
    )
    text = verification(settings, now=1, nonce="n", echostr="123", right=True, cipher=cipher)
    query = {name: value for name, [value] in parse_qs(text).items()}

    echo = WeComCrypto("bridge_token", KEY, "ww_corp").check_signature(
        query["msg_signature"], query["timestamp"], query["nonce"], query["echostr"]
    )

    assert echo == "123"
