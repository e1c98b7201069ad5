"""Who answers a user's message: the HTTP request that still waits for it, or the API, later.

The claim is the one document that ingress and egress share. Whoever creates it first has the
message, so it is answered by exactly one of them; and since the claim holds the very text that was
given, a repeated callback of WeChat's is answered with the same bytes by any replica.
"""

from typing import Literal

from msgspec import Struct

from queqiao_common.events import Form

TRIES = ".tries"


class Claim(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The decision about one message; it never changes once created.

    - `reply`: the waiting request was answered with `answer` (empty: the bare `success`, as the
      message is answered together with a later one); `items` are the delivery or mailbox item ids
      that the text carried.
    - `later`: the request was, or shall be, answered `success`; the reply comes by API.
    - `thinking`: the last window of a passive-only account ended; `answer` is what was said, and
      `items` what it carried (nothing, for the mere "still thinking").

    `form` is what the answer is where it is more than a text.
    """

    kind: Literal["reply", "later", "thinking"]
    answer: str = ""
    items: tuple[str, ...] = ()
    form: Form | None = None


class Tries(Struct, frozen=True, kw_only=True):
    """How often WeChat has delivered a message, beyond the first time."""

    count: int


def claim_key(account: str, msgid: str) -> str:
    """Return the key of a message's claim in the `claims` bucket."""
    return f"{account}.{msgid}"


def tries_key(account: str, msgid: str) -> str:
    """Return the key of a message's delivery count in the `claims` bucket."""
    return f"{account}.{msgid}{TRIES}"
