"""A WeCom AI bot in callback mode: streams, response addresses, encrypted files.

Source: protocol reference 10.2, 13 (rule 16). Instants are Unix seconds, given by the
caller; no I/O.
"""

import base64
import secrets

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from msgspec import Struct

from queqiao_simulator.keeping import Kept
from queqiao_simulator.refusals import Refused
from queqiao_simulator.rules import BotRules

PAD_BLOCK = 32
FILES = 200  # kept at once
INVALID_CODE = 40029
USED_CODE = 40163


class Stream(Struct):
    """One message in progress: what the user sees of its answer.

    `rewrites` counts answers that did not continue the one before: content must be cumulative.
    """

    msgid: str
    openid: str
    asked_at: float
    id: str = ""
    content: str = ""
    is_over: bool = False
    rewrites: int = 0

    def replace(self, content: str) -> None:
        """Show what the newest answer says."""
        if not content.startswith(self.content):
            self.rewrites += 1
        self.content = content


class Response(Struct):
    """A `response_url`: one later message."""

    openid: str
    chattype: str
    until: float
    used: bool = False


class File(Struct, frozen=True):
    """An encrypted file for the bot to fetch."""

    body: bytes
    until: float


class BotDesk:
    """One AI bot."""

    def __init__(self, rules: BotRules) -> None:
        self._rules = rules
        self._streams: Kept[Stream] = Kept()
        self._responses: Kept[Response] = Kept()
        self._files: Kept[File] = Kept(FILES)

    def begin(self, msgid: str, openid: str, now: float) -> Stream | None:
        """The user writes; None: three messages are in progress already."""
        mine = [one for one in self._streams.values() if one.openid == openid]
        if sum(not self.is_cut(one, now) and not one.is_over for one in mine) >= (
            self._rules.in_flight
        ):
            return None
        return self._streams.keep(msgid, Stream(msgid, openid, now))

    def stream(self, msgid: str) -> Stream:
        """The progress of one message; a message that the desk did not begin is over."""
        return self._streams.get(msgid) or Stream(msgid, "", 0.0, is_over=True)

    def is_cut(self, stream: Stream, now: float) -> bool:
        """Whether six minutes have passed since the user's message."""
        return now - stream.asked_at >= self._rules.stream_lifetime

    def end(self, msgid: str) -> None:
        """Nothing more will come for this message."""
        if stream := self._streams.pop(msgid, None):
            stream.is_over = True

    def response(self, openid: str, chattype: str, now: float) -> str:
        """The code of a new `response_url`."""
        code = secrets.token_urlsafe(32)
        until = now + self._rules.response_lifetime
        self._responses.keep(code, Response(openid, chattype, until))
        return code

    def owns(self, code: str) -> bool:
        """Whether the code is one of this bot's."""
        return code in self._responses

    def use_response(self, code: str, now: float) -> Response:
        """Spend a `response_url`.

        Raises:
            Refused: 40029 (unknown, or older than an hour) or 40163 (used).
        """
        known = self._responses.get(code)
        if known is None or now >= known.until:
            raise Refused(INVALID_CODE)
        if known.used:
            raise Refused(USED_CODE)
        known.used = True
        return known

    def offer(self, body: bytes, aes_key: str, now: float) -> str:
        """Encrypt a file for the bot; answers its name, good for five minutes."""
        name = secrets.token_urlsafe(24)
        self._files.keep(name, File(sealed(body, aes_key), now + self._rules.media_lifetime))
        return name

    def file(self, name: str, now: float) -> bytes | None:
        """An encrypted file that is still there."""
        known = self._files.get(name)
        return known.body if known is not None and now < known.until else None


def sealed(body: bytes, aes_key: str) -> bytes:
    """Encrypt a file as the platform does: the callback's key, no frame, padding to 32 bytes."""
    key = base64.b64decode(aes_key + "=")
    count = PAD_BLOCK - len(body) % PAD_BLOCK
    encryptor = Cipher(AES(key), CBC(key[:16])).encryptor()
    return encryptor.update(body + bytes([count]) * count) + encryptor.finalize()
