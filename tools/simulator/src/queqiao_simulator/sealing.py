"""How a push leaves: its body and its query, per mode and kind. Pure, given time and nonce.

Source: protocol reference 2.1, 2.2. The body is the same in every delivery; the signature is not.
"""

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from queqiao_wechat.crypto import Cipher, CryptoError
from queqiao_wechat.signature import is_signed, sign

from queqiao_simulator import envelope
from queqiao_simulator.answers import Decrypt
from queqiao_simulator.faults import corrupt, spoil
from queqiao_simulator.settings import AccountSettings

STALE_SECONDS = 3600
FOREIGN_APPID = "wx0000000000000000"
FOREIGN_ORIGINAL_ID = "gh_000000000000"
XML, JSON = "text/xml", "application/json"


class Sealed(Struct, frozen=True):
    """A body ready to be posted, and the ciphertext inside it ("" when there is none)."""

    body: bytes
    encrypt: str
    content_type: str = XML


def seal(
    account: AccountSettings,
    cipher: Cipher | None,
    fields: envelope.Fields,
    fault: str,
    previous: Cipher | None = None,
) -> Sealed:
    """Write the body of a push in the account's mode; `previous` serves the fault `old_key`."""
    if fault == "bad_appid":
        fields = {**fields, "ToUserName": FOREIGN_ORIGINAL_ID}
        cipher = cipher and Cipher(account.aes_key, FOREIGN_APPID)
    if fault == "old_key":
        cipher = previous or cipher
    content_type = JSON if _is_json(account) else XML
    render = envelope.render_json if _is_json(account) else envelope.render
    plain = corrupt(fault, render(spoil(fault, fields)))
    if account.sealing == "plain" or cipher is None:
        return Sealed(plain, "", content_type)
    encrypt = cipher.encrypt(plain)
    if account.sealing == "safe":
        return Sealed(render(_outside(account, fields, encrypt)), encrypt, content_type)
    return Sealed(_beside(plain, encrypt, content_type), encrypt, content_type)


def _is_json(account: AccountSettings) -> bool:
    in_json = account.kind == "miniprogram" and account.format == "json"
    return in_json or account.kind == "wecom_bot"


def _outside(account: AccountSettings, fields: envelope.Fields, encrypt: str) -> envelope.Fields:
    match account.kind:
        case "wecom_bot":
            return {"encrypt": encrypt}
        case "wecom":
            agent = str(account.agent_id)
            return {"ToUserName": account.appid, "AgentID": agent, "Encrypt": encrypt}
        case _:
            return {"ToUserName": fields["ToUserName"], "Encrypt": encrypt}


def _beside(plain: bytes, encrypt: str, content_type: str) -> bytes:
    if content_type == JSON:
        return plain.removesuffix(b"}") + b',"Encrypt":' + msgspec.json.encode(encrypt) + b"}"
    element = f"<Encrypt>{envelope.cdata(encrypt)}</Encrypt></xml>".encode()
    return plain.removesuffix(b"</xml>") + element


def query(
    account: AccountSettings, sealed: Sealed, openid: str, *, now: float, nonce: str, fault: str
) -> str:
    """Sign one delivery: exactly the parameters that the platform sends in this mode."""
    timestamp = str(int(now) - (STALE_SECONDS if fault == "stale_timestamp" else 0))
    token = account.token + ("?" if fault == "wrong_signature" else "")
    times = {"timestamp": timestamp, "nonce": nonce}
    whole = {"msg_signature": sign(token, timestamp, nonce, sealed.encrypt)}
    if account.is_wecom:
        return urlencode(whole | times)
    parameters = {"signature": sign(token, timestamp, nonce), **times, "openid": openid}
    if sealed.encrypt:
        parameters |= {"encrypt_type": "aes", **whole}
    return urlencode(parameters)


def verification(
    account: AccountSettings,
    *,
    now: float,
    nonce: str,
    echostr: str,
    right: bool,
    cipher: Cipher | None = None,
) -> str:
    """The query of a GET verification, rightly or wrongly signed; WeCom's echo is encrypted."""
    timestamp = str(int(now))
    if account.is_wecom and cipher is not None:
        echostr = cipher.encrypt(echostr.encode())
        signature = sign(account.token, timestamp, nonce, echostr)
    else:
        signature = sign(account.token, timestamp, nonce)
    return urlencode(
        {
            "msg_signature" if account.is_wecom else "signature": (
                signature if right else signature[::-1]
            ),
            "echostr": echostr,
            "timestamp": timestamp,
            "nonce": nonce,
        }
    )


def opener(account: AccountSettings, *ciphers: Cipher | None) -> Decrypt | None:
    """What opens the account's encrypted replies, with any of its keys; None in plain mode."""
    known = [cipher for cipher in ciphers if cipher is not None]
    if not known or account.sealing == "plain":
        return None

    def decrypt(tree: Mapping[str, object]) -> bytes:
        return _open(tree, account.token, known)

    return decrypt


def _open(tree: Mapping[str, object], token: str, ciphers: list[Cipher]) -> bytes:
    names = ("Encrypt", "MsgSignature", "TimeStamp", "Nonce")
    lower = "encrypt" in tree  # an AI bot's
    fields = {name: _text(tree, name.lower() if lower else name) for name in names}
    signed = (token, fields["TimeStamp"], fields["Nonce"], fields["Encrypt"])
    if not is_signed(fields["MsgSignature"], *signed):
        raise ValueError("MsgSignature does not match")
    for cipher in ciphers:
        try:
            return cipher.decrypt(fields["Encrypt"])
        except CryptoError:
            continue
    raise ValueError("Encrypt cannot be decrypted for this appid")


def _text(tree: Mapping[str, object], name: str) -> str:
    value = tree.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing from the encrypted reply")
    return value
