"""How a push leaves: its body and its query, per mode. Pure, given time and nonce.

Source: protocol reference 2.1, 2.2. The body is the same in every delivery; the signature is not.
"""

from collections.abc import Mapping
from urllib.parse import urlencode

from msgspec import Struct
from queqiao_wechat.crypto import Cipher, CryptoError
from queqiao_wechat.signature import is_signed, sign

from queqiao_simulator import envelope
from queqiao_simulator.answers import Decrypt, Tree
from queqiao_simulator.faults import corrupt, spoil
from queqiao_simulator.settings import AccountSettings

STALE_SECONDS = 3600
FOREIGN_APPID = "wx0000000000000000"
FOREIGN_ORIGINAL_ID = "gh_000000000000"


class Sealed(Struct, frozen=True):
    """A body ready to be posted, and the ciphertext inside it ("" when there is none)."""

    body: bytes
    encrypt: str


def seal(
    account: AccountSettings, cipher: Cipher | None, fields: envelope.Fields, fault: str
) -> Sealed:
    """Write the body of a push in the account's mode."""
    if fault == "bad_appid":
        fields = {**fields, "ToUserName": FOREIGN_ORIGINAL_ID}
        cipher = cipher and Cipher(account.aes_key, FOREIGN_APPID)
    plain = corrupt(fault, envelope.render(spoil(fault, fields)))
    if account.mode == "plain" or cipher is None:
        return Sealed(plain, "")
    encrypt = cipher.encrypt(plain)
    outer = {"ToUserName": fields["ToUserName"], "Encrypt": encrypt}
    if account.mode == "safe":
        return Sealed(envelope.render(outer), encrypt)
    element = f"<Encrypt>{envelope.cdata(encrypt)}</Encrypt></xml>".encode()
    return Sealed(plain.removesuffix(b"</xml>") + element, encrypt)


def query(
    account: AccountSettings, sealed: Sealed, openid: str, *, now: float, nonce: str, fault: str
) -> str:
    """Sign one delivery: exactly the parameters that the platform sends in this mode."""
    timestamp = str(int(now) - (STALE_SECONDS if fault == "stale_timestamp" else 0))
    token = account.token + ("?" if fault == "wrong_signature" else "")
    parameters = {
        "signature": sign(token, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "openid": openid,
    }
    if sealed.encrypt:
        parameters["encrypt_type"] = "aes"
        parameters["msg_signature"] = sign(token, timestamp, nonce, sealed.encrypt)
    return urlencode(parameters)


def verification(
    account: AccountSettings, *, now: float, nonce: str, echostr: str, right: bool
) -> str:
    """The query of a GET verification, rightly or wrongly signed."""
    timestamp = str(int(now))
    signature = sign(account.token, timestamp, nonce)
    return urlencode(
        {
            "signature": signature if right else signature[::-1],
            "echostr": echostr,
            "timestamp": timestamp,
            "nonce": nonce,
        }
    )


def opener(account: AccountSettings, cipher: Cipher | None) -> Decrypt | None:
    """What opens the account's encrypted replies; None in plain mode."""
    if cipher is None or account.mode == "plain":
        return None

    def decrypt(tree: Tree) -> bytes:
        return _open(tree, account.token, cipher)

    return decrypt


def _open(tree: Tree, token: str, cipher: Cipher) -> bytes:
    fields = {name: _text(tree, name) for name in ("Encrypt", "MsgSignature", "TimeStamp", "Nonce")}
    signed = (token, fields["TimeStamp"], fields["Nonce"], fields["Encrypt"])
    if not is_signed(fields["MsgSignature"], *signed):
        raise ValueError("MsgSignature does not match")
    try:
        return cipher.decrypt(fields["Encrypt"])
    except CryptoError as error:
        raise ValueError("Encrypt cannot be decrypted for this appid") from error


def _text(tree: Mapping[str, object], name: str) -> str:
    value = tree.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing from the encrypted reply")
    return value
