"""WeChat's side of a callback, and the account that it pushes to."""

from typing import Any
from xml.etree import ElementTree

from msgspec import structs
from queqiao_common.settings import Account, Config, IngressSettings, Secret
from queqiao_wechat.crypto import Cipher
from queqiao_wechat.sealed import ciphertexts
from queqiao_wechat.signature import is_signed, sign

TOKEN = "bridge_token_2026"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
OLD_AES_KEY = "G" * 43
APPID = "wx1234567890abcdef"
TIMESTAMP, NONCE = "1767225600", "1320562132"
OPENID, ORIGINAL_ID = "oABCDEFGHIJKLMNOPQRSTUVWXYZ0", "gh_0123456789ab"

CIPHER = Cipher(AES_KEY, APPID)


def account(**fields: Any) -> Account:
    """An account in plain mode, unless a key is given."""
    defaults: dict[str, Any] = {"id": "main", "appid": APPID, "token": Secret(TOKEN)}
    return Account(**(defaults | fields))


def safe_account(**fields: Any) -> Account:
    return account(aes_key=Secret(AES_KEY), **fields)


def config(*accounts: Account, **ingress: Any) -> Config:
    return Config(accounts=accounts or (account(),), ingress=IngressSettings(**ingress))


def replaced(config: Config, **sections: Any) -> Config:
    """The same configuration with other sections."""
    return structs.replace(config, **sections)


def xml(*lines: str, kind: str = "text", msgid: str = "24000000000000001") -> bytes:
    """A push in plain XML; `lines` stand between its common fields and its id."""
    return (
        f"<xml><ToUserName><![CDATA[{ORIGINAL_ID}]]></ToUserName>"
        f"<FromUserName><![CDATA[{OPENID}]]></FromUserName>"
        f"<CreateTime>1767225600</CreateTime><MsgType><![CDATA[{kind}]]></MsgType>"
        + "".join(lines)
        + (f"<MsgId>{msgid}</MsgId>" if msgid else "")
        + "</xml>"
    ).encode()


def text(content: str = "你好", *, msgid: str = "24000000000000001") -> bytes:
    return xml(f"<Content><![CDATA[{content}]]></Content>", msgid=msgid)


def event(name: str, *lines: str) -> bytes:
    return xml(f"<Event><![CDATA[{name}]]></Event>", *lines, kind="event", msgid="")


def signed(**extra: str) -> dict[str, str]:
    """The query of a push in plain mode."""
    return {
        "signature": sign(TOKEN, TIMESTAMP, NONCE),
        "timestamp": TIMESTAMP,
        "nonce": NONCE,
        **extra,
    }


def sealed(
    plain: bytes, *, cipher: Cipher = CIPHER, beside: str = ""
) -> tuple[dict[str, str], bytes]:
    """The query and body of a push in safe mode; with something `beside` it, compatible mode."""
    encrypted = cipher.encrypt(plain)
    query = signed(
        openid=OPENID,
        encrypt_type="aes",
        msg_signature=sign(TOKEN, TIMESTAMP, NONCE, encrypted),
    )
    body = (
        f"<xml><ToUserName>{ORIGINAL_ID}</ToUserName>{beside}<Encrypt>{encrypted}</Encrypt></xml>"
    )
    return query, body.encode()


def unsealed(answer: bytes, *, cipher: Cipher = CIPHER) -> bytes:
    """Open an encrypted answer as the platform does: signature first."""
    fields = {field.tag: field.text or "" for field in ElementTree.fromstring(answer)}  # noqa: S314 - our own bytes
    [encrypted] = ciphertexts(answer)
    assert is_signed(fields["MsgSignature"], TOKEN, fields["TimeStamp"], fields["Nonce"], encrypted)
    assert fields["Nonce"] == NONCE
    return cipher.decrypt(encrypted)


def said(answer: bytes) -> str:
    """What a user reads of a plain answer; nothing for `success`."""
    if answer == b"success":
        return ""
    return ElementTree.fromstring(answer).findtext("Content") or ""  # noqa: S314 - our own bytes
