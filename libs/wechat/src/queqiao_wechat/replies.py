"""Passive replies: the XML that answers a push (protocol reference 4)."""

import msgspec

from queqiao_wechat.crypto import Cipher
from queqiao_wechat.signature import sign
from queqiao_wechat.text import clean_text


def text_reply(*, to_user: str, from_user: str, created: int, content: str) -> bytes:
    """Return the XML of a text; `to_user` is the openid, `created` whole seconds since 1970.

    The content is cleaned, and `]]>` is parted by a space: WeChat is not known to read a split
    CDATA section.

    Raises:
        ValueError: nothing to show is left of the content. WeChat would show an error instead;
            the answer for "no reply" is an empty body.
    """
    if not clean_text(content).strip():
        raise ValueError("a text reply needs content: answer an empty body to stay silent")
    return _reply(to_user, from_user, created, "text", f"<Content>{_cdata(content)}</Content>")


def image_reply(*, to_user: str, from_user: str, created: int, media_id: str) -> bytes:
    """Return the XML of a picture that was uploaded before."""
    body = f"<Image><MediaId>{_cdata(media_id)}</MediaId></Image>"
    return _reply(to_user, from_user, created, "image", body)


def voice_reply(*, to_user: str, from_user: str, created: int, media_id: str) -> bytes:
    """Return the XML of a voice message that was uploaded before."""
    body = f"<Voice><MediaId>{_cdata(media_id)}</MediaId></Voice>"
    return _reply(to_user, from_user, created, "voice", body)


def news_reply(
    *,
    to_user: str,
    from_user: str,
    created: int,
    title: str,
    description: str,
    picture_url: str,
    url: str,
) -> bytes:
    """Return the XML of one card. A message is answered by one alone: WeChat drops the others."""
    article = (
        f"<Title>{_cdata(title)}</Title><Description>{_cdata(description)}</Description>"
        f"<PicUrl>{_cdata(picture_url)}</PicUrl><Url>{_cdata(url)}</Url>"
    )
    body = f"<ArticleCount>1</ArticleCount><Articles><item>{article}</item></Articles>"
    return _reply(to_user, from_user, created, "news", body)


def transfer_reply(*, to_user: str, from_user: str, created: int, kf_account: str = "") -> bytes:
    """Return the XML that hands the user over to human agents, or to the one named."""
    agent = f"<TransInfo><KfAccount>{_cdata(kf_account)}</KfAccount></TransInfo>"
    body = agent if kf_account else ""
    return _reply(to_user, from_user, created, "transfer_customer_service", body)


def transfer_reply_json(*, to_user: str, from_user: str, created: int) -> bytes:
    """Return the same as JSON, for a Mini Program that chose that format: to any agent."""
    return msgspec.json.encode(
        {
            "ToUserName": to_user,
            "FromUserName": from_user,
            "CreateTime": created,
            "MsgType": "transfer_customer_service",
        }
    )


def encrypt_reply(
    cipher: Cipher, callback_token: str, reply: bytes, *, timestamp: int, nonce: str
) -> bytes:
    """Seal a reply for safe mode, as XML.

    `timestamp` is our own clock in whole seconds, `nonce` that of the push being answered, and
    `cipher` the one that could decrypt it.
    """
    encrypted = cipher.encrypt(reply)
    signature = sign(callback_token, str(timestamp), nonce, encrypted)
    return (
        f"<xml><Encrypt>{_cdata(encrypted)}</Encrypt>"
        f"<MsgSignature>{_cdata(signature)}</MsgSignature>"
        f"<TimeStamp>{timestamp}</TimeStamp>"
        f"<Nonce>{_cdata(nonce)}</Nonce></xml>"
    ).encode()


def encrypt_reply_json(
    cipher: Cipher, callback_token: str, reply: bytes, *, timestamp: int, nonce: str
) -> bytes:
    """Seal a reply for safe mode, as JSON, for a Mini Program that chose that format."""
    encrypted = cipher.encrypt(reply)
    envelope = {
        "Encrypt": encrypted,
        "MsgSignature": sign(callback_token, str(timestamp), nonce, encrypted),
        "TimeStamp": timestamp,
        "Nonce": nonce,
    }
    return msgspec.json.encode(envelope)


def _reply(to_user: str, from_user: str, created: int, msg_type: str, body: str) -> bytes:
    return (
        f"<xml><ToUserName>{_cdata(to_user)}</ToUserName>"
        f"<FromUserName>{_cdata(from_user)}</FromUserName>"
        f"<CreateTime>{created}</CreateTime>"
        f"<MsgType>{_cdata(msg_type)}</MsgType>{body}</xml>"
    ).encode()


def _cdata(text: str) -> str:
    return f"<![CDATA[{clean_text(text).replace(']]>', ']] >')}]]>"
