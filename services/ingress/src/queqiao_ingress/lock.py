"""Whom to believe: the signatures and ciphers of one account.

An account with an `aes_key` takes nothing but ciphertext: what a body of the compatible mode says
beside it is not covered by the signature, and ignored.
"""

from dataclasses import dataclass, field

from queqiao_common.settings import Account
from queqiao_wechat.aibot import encrypt_bot_answer
from queqiao_wechat.crypto import Cipher, CryptoError, decrypt_any
from queqiao_wechat.replies import encrypt_reply, encrypt_reply_json
from queqiao_wechat.sealed import ciphertexts
from queqiao_wechat.signature import is_signed

from queqiao_ingress.callback import Query, RejectedError

SIGNATURE_LENGTH = 40
"""Hex digits of a SHA-1."""


@dataclass(frozen=True, slots=True)
class Seal:
    """How the answer to one encrypted callback is sealed: by the key that opened it."""

    cipher: Cipher
    callback_token: str = field(repr=False)
    nonce: str

    def xml(self, reply: bytes, *, now: int) -> bytes:
        """Seal a reply in XML."""
        return encrypt_reply(
            self.cipher, self.callback_token, reply, timestamp=now, nonce=self.nonce
        )

    def json(self, reply: bytes, *, now: int) -> bytes:
        """Seal a reply in JSON, as a Mini Program reads it."""
        return encrypt_reply_json(
            self.cipher, self.callback_token, reply, timestamp=now, nonce=self.nonce
        )

    def bot(self, answer: bytes, *, now: int) -> bytes:
        """Seal an answer of an AI bot."""
        return encrypt_bot_answer(
            self.cipher, self.callback_token, answer, timestamp=now, nonce=self.nonce
        )


class Lock:
    """Opens the callbacks of one account.

    `receiver` is what a ciphertext must be addressed to.

    Raises:
        ValueError: a secret cannot serve; the text names its key, never its value.
    """

    def __init__(self, account: Account, *, receiver: str) -> None:
        self._token = account.token.reveal()
        if not self._token:
            raise ValueError("token: empty, so that anybody could sign")
        self._ciphers = _ciphers(account, receiver)

    @property
    def is_sealed(self) -> bool:
        """Whether callbacks must be encrypted."""
        return bool(self._ciphers)

    def check(self, query: Query, name: str, *signed: str) -> None:
        """Check the signature that the parameter `name` holds, in constant time.

        Raises:
            RejectedError: it does not match.
        """
        if not self._matches(query, name, *signed):
            raise RejectedError(403, "bad_signature")

    def glance(self, query: Query) -> None:
        """Refuse what cannot be signed whatever its body is.

        Raises:
            RejectedError: a plain callback is not signed; an encrypted one has no signature.
        """
        if not self.is_sealed:
            self.check(query, "signature")
        elif not query.get("msg_signature"):
            raise RejectedError(403, "not_encrypted")
        elif len(query["msg_signature"]) != SIGNATURE_LENGTH:
            raise RejectedError(403, "bad_signature")

    def open(self, query: Query, body: bytes) -> tuple[bytes, Seal | None]:
        """Return what a callback says, and the seal for its answer (None: a plain one).

        Raises:
            RejectedError: it is not signed by our token, not encrypted, or not for us.
        """
        if self._ciphers:
            return self.unseal(query, body)
        self.check(query, "signature")
        return body, None

    def unseal(self, query: Query, body: bytes) -> tuple[bytes, Seal]:
        """Return what an encrypted callback says, and the seal for its answer.

        Raises:
            RejectedError: as `open`.
        """
        found = ciphertexts(body)
        if not found:
            raise RejectedError(403, "not_encrypted")
        # `signature` does not cover the body: in safe mode it proves nothing.
        signed = next((one for one in found if self._matches(query, "msg_signature", one)), None)
        if signed is None:
            raise RejectedError(403, "bad_signature")
        plain, cipher = self._decrypt(signed)
        return plain, Seal(cipher, self._token, query.get("nonce", ""))

    def echo(self, query: Query) -> str:
        """Return the plaintext of WeCom's `echostr`.

        Raises:
            RejectedError: it is not signed by our token, or not for us.
        """
        encrypted = query.get("echostr", "")
        if not encrypted:
            raise RejectedError(403, "no_echostr")
        self.check(query, "msg_signature", encrypted)
        try:
            return self._decrypt(encrypted)[0].decode()
        except UnicodeDecodeError:
            raise RejectedError(403, "undecryptable") from None

    def _decrypt(self, encrypted: str) -> tuple[bytes, Cipher]:
        try:
            return decrypt_any(self._ciphers, encrypted)
        except CryptoError as error:
            raise RejectedError(403, "undecryptable") from error

    def _matches(self, query: Query, name: str, *signed: str) -> bool:
        parts = (query.get("timestamp", ""), query.get("nonce", ""), *signed)
        return is_signed(query.get(name, ""), self._token, *parts)


def _ciphers(account: Account, receiver: str) -> tuple[Cipher, ...]:
    """Prepare the current key and, while keys are changed, the previous one."""
    if not account.aes_key.reveal():
        return ()
    ciphers: list[Cipher] = []
    for name in ("aes_key", "previous_aes_key"):
        if key := getattr(account, name).reveal():
            try:
                ciphers.append(Cipher(key, receiver))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    return tuple(ciphers)
