"""Temporary material: what is uploaded or received, its limits, its three days. No I/O.

Source: protocol reference 7, 13 (rule 13). Numbers are WeChat's errcodes.
"""

import secrets
from collections.abc import Mapping

from msgspec import Struct

from queqiao_simulator.pictures import AMR_NB, AMR_WB, amr_seconds
from queqiao_simulator.refusals import Refused
from queqiao_simulator.rules import MediaRules

EMPTY = 41005
BAD_KIND = 40004
BAD_FILE = 40005
BAD_ID = 40007
TOO_LONG = 45007
TOO_LARGE = {"image": 40009, "voice": 40010, "video": 40011, "thumb": 40012, "file": 40006}
"""WeChat's numbers for a file above the limit of its kind; WeCom says 45001 for all."""
WECOM_TOO_LARGE = 45001

MIME = {"image": "image/jpeg", "voice": "audio/amr", "video": "video/mp4", "thumb": "image/jpeg"}
SUFFIX = {"image": ".jpg", "voice": ".amr", "video": ".mp4", "thumb": ".jpg"}

_MAGIC: Mapping[str, tuple[bytes, ...]] = {
    "image": (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8"),
    "voice": (AMR_NB, AMR_WB, b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"),
    "thumb": (b"\xff\xd8\xff",),
}


class Medium(Struct, frozen=True, kw_only=True):
    """One file. `created_at` is Unix seconds of the platform's clock."""

    id: str
    kind: str
    body: bytes
    mime: str
    name: str
    created_at: float
    by_user: bool = False


class MediaStore:
    """The temporary material of one account."""

    def __init__(self, rules: MediaRules) -> None:
        self._rules = rules
        self._media: dict[str, Medium] = {}

    def add(
        self, kind: str, body: bytes, now: float, *, mime: str = "", by_user: bool = False
    ) -> Medium:
        """Keep a file; its id is new. The oldest file goes when there is no room."""
        medium = Medium(
            id=secrets.token_urlsafe(48),
            kind=kind,
            body=body,
            mime=mime or sniffed(body) or MIME.get(kind, "application/octet-stream"),
            name=f"{kind}-{len(self._media) + 1}{SUFFIX.get(kind, '')}",
            created_at=now,
            by_user=by_user,
        )
        self._media[medium.id] = medium
        while len(self._media) > self._rules.kept:
            del self._media[next(iter(self._media))]
        return medium

    def find(self, media_id: object, now: float) -> Medium | None:
        """A file that exists and has not expired."""
        medium = self._media.get(media_id) if isinstance(media_id, str) else None
        if medium is None or now - medium.created_at >= self._rules.lifetime:
            return None
        return medium

    def has(self, media_id: object, kind: str, now: float) -> bool:
        """Whether a message of this kind may carry the id."""
        medium = self.find(media_id, now)
        return medium is not None and medium.kind in _fitting(kind)

    def listed(self) -> list[Medium]:
        """Everything that is remembered, the oldest first."""
        return list(self._media.values())


def _fitting(kind: str) -> frozenset[str]:
    # A picture of any use may serve as another: WeChat documents no difference on sending.
    return frozenset({"image", "thumb"}) if kind in ("image", "thumb") else frozenset({kind})


def checked(kind: str, body: bytes, rules: MediaRules, account_kind: str) -> None:
    """Let an upload through, or refuse it.

    Raises:
        Refused: 40004, 40005, 40006, 40009 to 40012, 41005, 45001 or 45007.
    """
    if kind not in kinds_of(account_kind):
        raise Refused(BAD_KIND)
    if not body:
        raise Refused(EMPTY)
    if len(body) > _limit(kind, rules):
        wecom = account_kind.startswith("wecom")
        raise Refused(WECOM_TOO_LARGE if wecom else TOO_LARGE[kind])
    if not _is_of(kind, body, account_kind):
        raise Refused(BAD_FILE)
    if (amr_seconds(body) or 0.0) > rules.voice_seconds:
        raise Refused(TOO_LONG)


def kinds_of(account_kind: str) -> tuple[str, ...]:
    """What an account of this kind may upload."""
    if account_kind == "miniprogram":
        return ("image",)
    if account_kind.startswith("wecom"):
        return ("image", "voice", "video", "file")
    return ("image", "voice", "video", "thumb")


def sniffed(body: bytes) -> str:
    """The MIME type that a file's first bytes tell, or nothing."""
    for magic, mime in (
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG", "image/png"),
        (b"GIF8", "image/gif"),
        (AMR_WB, "audio/amr-wb"),
        (AMR_NB, "audio/amr"),
        (b"ID3", "audio/mpeg"),
        (b"%PDF", "application/pdf"),
    ):
        if body.startswith(magic):
            return mime
    return "video/mp4" if body[4:8] == b"ftyp" else ""


def _limit(kind: str, rules: MediaRules) -> int:
    limit: int = getattr(rules, f"{kind}_limit_bytes")
    return limit


def _is_of(kind: str, body: bytes, account_kind: str) -> bool:
    if kind == "voice" and account_kind.startswith("wecom"):
        return body.startswith((AMR_NB, AMR_WB))
    if kind == "video":
        return body[4:8] == b"ftyp"
    return body.startswith(_MAGIC[kind]) if kind in _MAGIC else True
