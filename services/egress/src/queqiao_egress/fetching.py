"""Media on their way in: from WeChat into the object store, or the reason why not."""

import hashlib
import logging
from collections.abc import AsyncIterator, Mapping

import msgspec
from msgspec import structs
from queqiao_common.errors import TransientError
from queqiao_common.events import Event, Media, MediaFetched, MediaReady, MediaWanted
from queqiao_common.objects import Objects
from queqiao_common.settings import Media as Settings
from queqiao_common.topology import EGRESS_MEDIA
from queqiao_common.worker import Buried, Received
from queqiao_wechat.client import (
    AmbiguousError,
    ApiError,
    GoneError,
    TooLargeError,
    UnreachableError,
    WeChatError,
)
from queqiao_wechat.errcodes import Action
from queqiao_wechat.media import contained, sniffed

from queqiao_egress.channels.port import Channel

log = logging.getLogger(__name__)

WANTED = ("image", "voice")
RETRIED = frozenset({Action.RETRY, Action.WAIT_MINUTE, Action.REFRESH_TOKEN})
LAST = EGRESS_MEDIA.attempts - 1
"""From this attempt on a failure is told to the user, rather than tried again."""

_decode = msgspec.json.Decoder(MediaWanted).decode


class Fetching:
    """Fetches what users send."""

    def __init__(
        self, channels: Mapping[str, Channel], objects: Objects, settings: Settings
    ) -> None:
        self._channels = channels
        self._objects = objects
        self._settings = settings

    async def fetch(self, received: Received[MediaWanted]) -> AsyncIterator[Event]:
        """Fetch all media of a message; each gets its key, or its trouble."""
        wanted = received.event
        found = [
            await self._fetched(wanted.account, media, received.attempt)
            for media in wanted.message.media
        ]
        yield _done(wanted, tuple(found))

    async def give_up(self, buried: Buried) -> AsyncIterator[Event]:
        """Let the message go on without its media, so that its user is told."""
        try:
            wanted = _decode(buried.body)
        except msgspec.MsgspecError:
            return  # nobody can say whose it was
        yield _ready(wanted, tuple(_troubled(media, "failed") for media in wanted.message.media))

    async def _fetched(self, account: str, media: Media, attempt: int) -> Media:
        if media.kind not in WANTED or media.trouble:
            return media
        try:
            return await self._stored(account, media)
        except WeChatError as error:
            trouble = _trouble_of(error)
            if trouble == "failed" and _is_passing(error) and attempt < LAST:
                raise TransientError(str(error)) from None
            fields = {"account": account, "kind": media.kind, "trouble": trouble}
            log.warning("media.unfetched", extra=fields | {"detail": str(error)[:300]})
            return _troubled(media, trouble)

    async def _stored(self, account: str, media: Media) -> Media:
        channel = self._channels.get(account)
        if channel is None:
            return _troubled(media, "failed")
        is_voice = media.kind == "voice"
        limit = self._settings.max_voice if is_voice else self._settings.max_picture
        body = await channel.fetch(media, limit)
        if is_voice:
            body = contained(body)
        mime = sniffed(body)
        if not mime.startswith("audio/" if is_voice else "image/"):
            log.warning("media.unknown", extra={"account": account, "kind": media.kind})
            return _troubled(media, "failed")
        key = key_of(account, media)
        await self._objects.put(key, body)
        return structs.replace(media, key=key, mime=mime)


def key_of(account: str, media: Media) -> str:
    """Return the key of a medium in the object store: the same on every attempt."""
    name = media.media_id or media.url
    return f"{account}/{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def _trouble_of(error: WeChatError) -> str:
    if isinstance(error, TooLargeError):
        return "too_large"
    is_gone = isinstance(error, ApiError) and error.action is Action.DROP
    return "gone" if is_gone or isinstance(error, GoneError) else "failed"


def _is_passing(error: WeChatError) -> bool:
    if isinstance(error, ApiError):
        return error.action in RETRIED
    return isinstance(error, AmbiguousError | UnreachableError)


def _troubled(media: Media, trouble: str) -> Media:
    return structs.replace(media, trouble=media.trouble or trouble)


def _done(wanted: MediaWanted, media: tuple[Media, ...]) -> Event:
    """Return what follows: voice that can be heard is to become text first."""
    if any(one.kind == "voice" and one.key for one in media):
        message = structs.replace(wanted.message, media=media)
        return MediaFetched(
            id=f"fetched:{wanted.message.id}:{wanted.sequence}",
            account=wanted.account,
            conv=wanted.conv,
            sequence=wanted.sequence,
            message=message,
        )
    return _ready(wanted, media)


def _ready(wanted: MediaWanted, media: tuple[Media, ...]) -> MediaReady:
    return MediaReady(
        id=f"ready:{wanted.message.id}:{wanted.sequence}",
        account=wanted.account,
        conv=wanted.conv,
        sequence=wanted.sequence,
        message=structs.replace(wanted.message, media=media),
    )
