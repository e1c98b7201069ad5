"""Safe mode: AES-256-CBC over a frame of random, length, message and receiver.

Source: protocol reference 2.3. Official Accounts, Mini Programs and WeCom share the scheme.
"""

import base64
import binascii
import hmac
import re
import secrets
import struct
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
_RANDOM_BYTES = 16
_LENGTH = struct.Struct(">I")
_HEADER_BYTES = _RANDOM_BYTES + _LENGTH.size
_PAD_BLOCK = 32  # bytes; twice the AES block, so library unpadders refuse it


class CryptoError(ValueError):
    """The ciphertext is not for us. One text for every cause: details would be an oracle."""

    def __init__(self) -> None:
        super().__init__("the ciphertext cannot be decrypted with this key for this receiver")


class Cipher:
    """Encrypts and decrypts callback bodies of one account under one EncodingAESKey.

    `receive_id` is the appid (Official Account, Mini Program), the CorpID (WeCom), or empty
    (an in-house WeCom AI bot).

    Raises:
        ValueError: `aes_key` is not an EncodingAESKey. The text does not repeat it.
    """

    def __init__(self, aes_key: str, receive_id: str) -> None:
        if _KEY.fullmatch(aes_key) is None:
            raise ValueError("an EncodingAESKey has exactly 43 characters, each A-Z a-z 0-9 + /")
        # The 43rd character holds 4 bits of key and 2 stray ones, which this decoder ignores.
        key = base64.b64decode(aes_key + "=")
        self.receive_id = receive_id
        self._receiver = receive_id.encode()
        self._aes = BlockCipher(AES(key), CBC(key[:16]))

    def __repr__(self) -> str:
        return f"Cipher(aes_key=***, receive_id={self.receive_id!r})"

    def encrypt(self, plain: bytes, random: bytes | None = None) -> str:
        """Return `plain`, framed and encrypted, as base64.

        `random` (16 bytes) is for reproducing a known ciphertext; leave it out otherwise.

        Raises:
            ValueError: `random` does not have 16 bytes.
        """
        prefix = secrets.token_bytes(_RANDOM_BYTES) if random is None else random
        if len(prefix) != _RANDOM_BYTES:
            raise ValueError(f"random has {len(prefix)} bytes, the frame takes {_RANDOM_BYTES}")
        frame = _pad(prefix + _LENGTH.pack(len(plain)) + plain + self._receiver)
        encryptor = self._aes.encryptor()
        return base64.b64encode(encryptor.update(frame) + encryptor.finalize()).decode("ascii")

    def decrypt(self, encrypted: str) -> bytes:
        """Return the message inside a base64 ciphertext addressed to `receive_id`.

        Raises:
            CryptoError: anything at all is wrong with it, the receiver included.
        """
        try:
            decryptor = self._aes.decryptor()
            ciphertext = base64.b64decode(encrypted, validate=True)
            frame = _unpad(decryptor.update(ciphertext) + decryptor.finalize())
        except (ValueError, binascii.Error):
            raise CryptoError from None
        return _message_of(frame, self._receiver)


def decrypt_any(ciphers: Sequence[Cipher], encrypted: str) -> tuple[bytes, Cipher]:
    """Decrypt with the first cipher that can, and say which: the reply must use the same one.

    While an EncodingAESKey is being changed, WeChat may still use the previous one.

    Raises:
        CryptoError: none of the ciphers can.
    """
    for cipher in ciphers:
        try:
            return cipher.decrypt(encrypted), cipher
        except CryptoError:
            continue
    raise CryptoError


def _pad(frame: bytes) -> bytes:
    count = _PAD_BLOCK - len(frame) % _PAD_BLOCK
    return frame + bytes([count]) * count


def _unpad(frame: bytes) -> bytes:
    count = frame[-1] if frame else 0
    if not 1 <= count <= _PAD_BLOCK or not frame.endswith(bytes([count]) * count):
        raise CryptoError
    return frame[:-count]


def _message_of(frame: bytes, receiver: bytes) -> bytes:
    if len(frame) < _HEADER_BYTES:
        raise CryptoError
    (length,) = _LENGTH.unpack_from(frame, _RANDOM_BYTES)
    end = _HEADER_BYTES + length
    if end > len(frame) or not hmac.compare_digest(frame[end:], receiver):
        raise CryptoError
    return frame[_HEADER_BYTES:end]
