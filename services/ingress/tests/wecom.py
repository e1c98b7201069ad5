"""WeCom's side of its three doors: everything encrypted, for a corporation or for nobody."""

from typing import Any, TypeAlias

import msgspec
from queqiao_common.settings import Account, Secret
from queqiao_ingress.callback import Callback, Door
from queqiao_ingress.doors import open_doors
from queqiao_wechat.crypto import Cipher
from queqiao_wechat.sealed import ciphertexts
from queqiao_wechat.signature import is_signed, sign

from services.ingress.tests import wechat

CORPID, AGENT = "ww1234567890abcdef", 1000002
CORP = Cipher(wechat.AES_KEY, CORPID)
BOT = Cipher(wechat.AES_KEY, "")
NOW_MS = 1_767_225_600_500

Sent: TypeAlias = tuple[dict[str, str], bytes]
"""The query and body of a push."""


def account(kind: str = "wecom", **fields: Any) -> Account:
    defaults: dict[str, Any] = {
        "kind": kind,
        "appid": "" if kind == "wecom_bot" else CORPID,
        "agent_id": AGENT,
        "aes_key": Secret(wechat.AES_KEY),
    }
    return wechat.account(**(defaults | fields))


def door(kind: str, **fields: Any) -> Door:
    return open_doors(wechat.config(account(kind, **fields)))["main"]


def query(encrypted: str, **extra: str) -> dict[str, str]:
    return {
        "msg_signature": sign(wechat.TOKEN, wechat.TIMESTAMP, wechat.NONCE, encrypted),
        "timestamp": wechat.TIMESTAMP,
        "nonce": wechat.NONCE,
        **extra,
    }


def sealed(plain: bytes, *, cipher: Cipher = CORP, agent: object = AGENT) -> Sent:
    """The query and body of a push to an app or to customer service."""
    encrypted = cipher.encrypt(plain)
    body = (
        f"<xml><ToUserName><![CDATA[{CORPID}]]></ToUserName><AgentID>{agent}</AgentID>"
        f"<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    )
    return query(encrypted), body.encode()


def to_bot(push: object, *, cipher: Cipher = BOT) -> Sent:
    """The query and body of a push to an AI bot."""
    encrypted = cipher.encrypt(msgspec.json.encode(push))
    return query(encrypted), msgspec.json.encode({"encrypt": encrypted})


def admit(one: Door, sent: Sent) -> Callback:
    return one.admit(*sent, received_ms=NOW_MS)


def bot_answer(body: bytes) -> Any:
    """Open a bot's answer as the platform does: signature first."""
    answer = msgspec.json.decode(body)
    [encrypted] = ciphertexts(body)
    times = (str(answer["timestamp"]), answer["nonce"])
    assert sorted(answer) == ["encrypt", "msgsignature", "nonce", "timestamp"]
    assert is_signed(answer["msgsignature"], wechat.TOKEN, *times, encrypted)
    return msgspec.json.decode(BOT.decrypt(encrypted))


def message(**fields: Any) -> dict[str, Any]:
    """A push of an AI bot; of a text, unless told otherwise."""
    defaults = {
        "msgid": "CAIQz7",
        "aibotid": "BOT",
        "chattype": "single",
        "from": {"userid": "zhang"},
        "response_url": "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=1",
        "msgtype": "text",
        "text": {"content": "你好"},
    }
    return defaults | fields


def app_text(content: str = "你好", *, agent: object = AGENT) -> bytes:
    """What an app is pushed, decrypted."""
    return (
        f"<xml><ToUserName>{CORPID}</ToUserName><FromUserName>zhang</FromUserName>"
        f"<CreateTime>1767225600</CreateTime><MsgType>text</MsgType>"
        f"<Content>{content}</Content><MsgId>1</MsgId><AgentID>{agent}</AgentID></xml>"
    ).encode()


def announcement(pull: str = "ENC1", **fields: str) -> bytes:
    """What customer service is pushed, decrypted."""
    more = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return (
        f"<xml><ToUserName>{CORPID}</ToUserName><CreateTime>1767225600</CreateTime>"
        f"<MsgType>event</MsgType><Event>kf_msg_or_event</Event><Token>{pull}</Token>"
        f"<OpenKfId>wk1</OpenKfId>{more}</xml>"
    ).encode()
