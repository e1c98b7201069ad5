"""The page of a long answer: what is kept of it, and the address that shows it for a while.

An address cannot be guessed (its id holds 130 random bits) and cannot be prolonged: the instant it
ends is signed. Whoever has it can read the answer and nothing else, so it names neither the user
nor the question.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Annotated, Literal

from msgspec import Meta, Struct

from queqiao_common.events import AccountId, Millis

PageId = Annotated[str, Meta(pattern="^[a-z2-7]{26}$", description="26 characters of base32")]

ID_LENGTH = 26
SIGNATURE_BYTES = 16
PATH = "/a/{page_id}"
_ID = re.compile(f"[a-z2-7]{{{ID_LENGTH}}}")
_SECONDS = re.compile(r"[0-9]{1,12}")


class Page(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document of the bucket `pages`, by page id: the answer so far, as Markdown.

    It holds no question and no user. `until_ms` is when its address ends.
    """

    account: AccountId
    text: str
    created_ms: Millis
    until_ms: Millis
    is_final: bool = False


def new_page_id() -> str:
    """Return the random id of a new page: legal in a key, a subject and a path."""
    return base64.b32encode(secrets.token_bytes(17)).decode("ascii")[:ID_LENGTH].lower()


def address(base_url: str, key: str, page_id: str, until_ms: int) -> str:
    """Return the address of a page, good until `until_ms`, to the second."""
    until = str(until_ms // 1000)
    path = PATH.format(page_id=page_id)
    return f"{base_url.rstrip('/')}{path}?e={until}&s={_sign(key, page_id, until)}"


def validity(
    key: str, page_id: str, until: str, signature: str, *, now_ms: int
) -> Literal["valid", "expired", "forged"]:
    """Judge an address by its parts as they were received; never raises.

    `until` is `e`, the last second of the address, `signature` is `s`.
    """
    if _ID.fullmatch(page_id) is None or _SECONDS.fullmatch(until) is None:
        return "forged"
    expected = _sign(key, page_id, until).encode()
    if not hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), expected):
        return "forged"
    return "valid" if now_ms < (int(until) + 1) * 1000 else "expired"


def _sign(key: str, page_id: str, until: str) -> str:
    digest = hmac.new(key.encode(), f"page\0{page_id}\0{until}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:SIGNATURE_BYTES]).decode("ascii").rstrip("=")
