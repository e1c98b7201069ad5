"""Signatures of WeChat callbacks: SHA-1 over the sorted parts."""

import hashlib
import hmac


def sign(*parts: str) -> str:
    """Return the lowercase hex SHA-1 of the parts, sorted and joined without a separator.

    The parts are `callback_token`, timestamp and nonce; in safe mode the ciphertext too.
    """
    # Code point order is UTF-8 byte order, which is the order WeChat sorts in.
    joined = "".join(sorted(parts))
    return hashlib.sha1(_encode(joined), usedforsecurity=False).hexdigest()


def is_signed(signature: str, *parts: str) -> bool:
    """Tell in constant time whether `signature` is that of the parts; never raises."""
    return hmac.compare_digest(_encode(signature), _encode(sign(*parts)))


def _encode(text: str) -> bytes:
    # A query string may carry anything, lone surrogates included: no match, but no crash.
    return text.encode("utf-8", "surrogatepass")
