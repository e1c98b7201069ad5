"""Media as WeChat takes them: what a file is by its first bytes, and what may be uploaded.

Source: protocol reference 7. Sizes are bytes. What a sender or a header calls a file is never
believed: the bytes decide.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Final, Literal

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from msgspec import Struct

from queqiao_wechat import speex
from queqiao_wechat.client import Api, Upload
from queqiao_wechat.crypto import CryptoError

KIB = 1024
MIB = 1024 * KIB
LIFETIME = 3 * 86_400.0
"""Seconds that a `media_id` can be used after its upload."""
PAD_BLOCK = 32

Kind = Literal["image", "voice", "thumb"]


class Limit(Struct, frozen=True):
    """What one kind of upload may be: types by content, and bytes."""

    mimes: frozenset[str]
    limit_bytes: int


UPLOADS: Final[Mapping[Kind, Limit]] = {
    # The page names both 10 MB and 2 MB: the smaller is taken everywhere.
    "image": Limit(frozenset({"image/jpeg", "image/png", "image/gif"}), 2 * MIB),
    "voice": Limit(frozenset({"audio/amr", "audio/mpeg"}), 2 * MIB),
    "thumb": Limit(frozenset({"image/jpeg"}), 64 * KIB),
}
"""Of an official account (60 s of voice at most, which only WeChat measures)."""

MINIPROGRAM_UPLOADS: Final[Mapping[Kind, Limit]] = {"image": UPLOADS["image"]}
WECOM_UPLOADS: Final[Mapping[Kind, Limit]] = {
    "image": UPLOADS["image"],
    "voice": Limit(frozenset({"audio/amr"}), 2 * MIB),
}

ENDINGS: Final[Mapping[str, str]] = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "audio/amr": "amr",
    "audio/amr-wb": "amr",
    "audio/silk": "silk",
    "audio/speex": "speex",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
}

_PREFIXES: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"#!AMR-WB\n", "audio/amr-wb"),
    (b"#!AMR\n", "audio/amr"),
    (b"#!SILK_V3", "audio/silk"),
    (b"\x02#!SILK_V3", "audio/silk"),  # as Tencent's own encoder writes it
    (b"ID3", "audio/mpeg"),
    (b"Speex   ", "audio/speex"),
)


def sniffed(body: bytes) -> str:
    """Return the MIME type that the first bytes tell; empty where they tell none we know."""
    for prefix, mime in _PREFIXES:
        if body.startswith(prefix):
            return mime
    if body[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(body[8:12], "")
    if body[:4] == b"OggS":
        return "audio/speex" if b"Speex   " in body[:64] else "audio/ogg"
    # An MPEG frame without a tag: eleven set bits, a layer, a bit rate that exists.
    if len(body) > 2 and body[0] == 0xFF and body[1] & 0xE6 == 0xE2 and body[2] >> 4 not in (0, 15):
        return "audio/mpeg"
    return ""


def contained(body: bytes) -> bytes:
    """Return a sound as a file that says what it is: raw Speex in Ogg, all else as it came."""
    found = () if sniffed(body) else speex.frames(body)
    return speex.in_ogg(found) if found else body


def problem(kind: Kind, body: bytes, limits: Mapping[Kind, Limit]) -> str:
    """Say why a file cannot be uploaded as this kind; empty where it can."""
    limit = limits.get(kind)
    if limit is None:
        return f"this account takes no {kind}"
    if (mime := sniffed(body)) not in limit.mimes:
        return f"{mime or 'an unknown type'} is no {kind} that WeChat takes"
    if len(body) > limit.limit_bytes:
        return f"{len(body)} bytes are more than the {limit.limit_bytes} of a {kind}"
    return ""


async def upload(api: Api, kind: Kind, body: bytes) -> str:
    """Upload temporary material and return its `media_id`, good for three days.

    Raises:
        ApiError, AmbiguousError, UnreachableError: as `Api`.
    """
    mime = sniffed(body)
    file = Upload(name=f"{kind}.{ENDINGS.get(mime, 'bin')}", mime=mime, body=body)
    answer = await api.upload("/cgi-bin/media/upload", kind, file)
    return str(answer.get("media_id") or answer.get("thumb_media_id") or "")


async def download(api: Api, media_id: str, *, limit_bytes: int) -> bytes:
    """Download temporary material.

    Raises:
        TooLargeError, GoneError, ApiError, AmbiguousError, UnreachableError: as `Api`.
    """
    return await api.download("/cgi-bin/media/get", {"media_id": media_id}, limit_bytes=limit_bytes)


def opener(aes_key: str) -> Callable[[bytes], bytes]:
    """Return what decrypts the files that an AI bot is sent: the callback's key, no frame.

    It raises `CryptoError` where a file was not encrypted with this key. Source: reference 10.2.
    """
    key = base64.b64decode(aes_key + "=")

    def open_file(sealed: bytes) -> bytes:
        if not sealed or len(sealed) % 16:
            raise CryptoError
        decryptor = Cipher(AES(key), CBC(key[:16])).decryptor()
        plain = decryptor.update(sealed) + decryptor.finalize()
        count = plain[-1]
        if not 1 <= count <= PAD_BLOCK or not plain.endswith(bytes([count]) * count):
            raise CryptoError
        return plain[:-count]

    return open_file
