"""Names derived from facts: the same on every replica, legal in subjects and keys, no openid."""

import base64
import hashlib
import hmac


def conversation_id(*, pepper: str, account: str, openid: str) -> str:
    """Return `c_` and 26 characters of base32(HMAC-SHA256(pepper, account + openid)).

    The openid cannot be read back from it, and nobody without the pepper can compute it.
    """
    digest = hmac.new(pepper.encode(), f"{account}\0{openid}".encode(), hashlib.sha256).digest()
    return "c_" + base64.b32encode(digest).decode()[:26].lower()


def turn_id(*, account: str, conv: str, number: int) -> str:
    """Return the id of one turn of a conversation."""
    return f"{account}.{conv}.{number}"


def turn_number(turn: str) -> int:
    """Return the number of a turn from its id."""
    return int(turn.rsplit(".", 1)[1])
