"""The port to a WeChat channel: what a message may be there, and how it is sent.

Handlers and plans ask the traits, never for the kind of an account. A new kind is a module beside
this one, and a line in `building`.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec import Struct
from queqiao_common.events import Media, Waiting

from queqiao_egress.pages import Attachment
from queqiao_egress.quota import Quota

KEY_LENGTH = 32


class Traits(Struct, frozen=True, kw_only=True):
    """What a channel can do.

    `limit_bytes` is the most that one message may have, `markdown` whether it is shown as such,
    `shows` the kinds of attachments (`pages.Attachment.kind`) by API and `shows_passively` those in
    the answer to a callback. `open_seconds` is how long after a message its request, or its stream,
    can carry a reply, `transfer_seconds` how long it can hand the user over to people. Messages by
    API are counted by `quota` (None: not counted) and `per_minute` (0: not paced). With `marks_ai`
    the platform itself writes under a message that an AI wrote it, and with `is_idempotent` it
    takes a message once and no more, so that a repeat is harmless.
    """

    call: str  # names the span of a call
    limit_bytes: int = 2048
    markdown: bool = False
    shows: frozenset[str] = frozenset()
    shows_passively: frozenset[str] = frozenset()
    open_seconds: float = 0.0
    quota: Quota | None = None
    per_minute: int = 0
    marks_ai: bool = False
    is_idempotent: bool = False
    transfers_passively: bool = False  # hands over in the answer to a callback
    transfer_seconds: float = 0.0


class Recipient(Struct, frozen=True, kw_only=True):
    """Whom a message is for; `waiting` are the messages that it answers."""

    openid: str
    peer: str = ""
    waiting: tuple[Waiting, ...] = ()


class Message(Struct, frozen=True, kw_only=True):
    """One message by API.

    `key` is the same whenever this message is sent, and no other message's; `again` says that an
    earlier call with it may have been taken. `media_id` is the uploaded attachment's, where it has
    something to upload.
    """

    text: str
    ai: bool
    key: str
    again: bool = False
    attachment: Attachment | None = None
    media_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One account's channel: its traits, and what it can do. What it cannot do is None.

    Each may raise `queqiao_wechat.client.WeChatError`; a `TransientError` where the broker has no
    token for it.

    - `send` sends one message by API.
    - `fetch` downloads what a user sent, and at most so many bytes.
    - `upload` uploads what an attachment needs, and returns its `media_id`.
    - `typing` shows that an answer is being written.
    - `transfer` hands the user over to people, or to the one named; `take_back` ends that.
    """

    traits: Traits
    fetch: Callable[[Media, int], Awaitable[bytes]]
    send: Callable[[Message, Recipient], Awaitable[None]] | None = None
    upload: Callable[[Attachment, bytes], Awaitable[str]] | None = None
    typing: Callable[[str], Awaitable[None]] | None = None
    transfer: Callable[[Recipient, str], Awaitable[None]] | None = None
    take_back: Callable[[Recipient], Awaitable[None]] | None = None

    @property
    def has_agents(self) -> bool:
        """Whether a user can be handed over to people at all."""
        return self.traits.transfers_passively or self.transfer is not None


def key_of(delivery_id: str, part: int, carried: tuple[str, ...]) -> str:
    """Return the key of a message: 32 characters of `[0-9a-f]`, from what it carries."""
    text = "\0".join((delivery_id, str(part), *carried))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
