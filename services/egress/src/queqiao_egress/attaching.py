"""Media on their way out: read from the object store, uploaded once, remembered for their life.

Nothing here may hold up an answer: whatever fails, the text is said instead.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable

from queqiao_common.errors import TransientError
from queqiao_common.events import Form
from queqiao_common.objects import Objects
from queqiao_wechat.client import WeChatError
from queqiao_wechat.media import LIFETIME

from queqiao_egress.channels.port import Channel
from queqiao_egress.channels.shared import needed_key
from queqiao_egress.pages import Attachment

log = logging.getLogger(__name__)

REMEMBERED = 2000
EARLY = 3600.0
"""Seconds before its end at which a `media_id` is no longer used."""


class Attachments:
    """Uploads what attachments need."""

    def __init__(self, objects: Objects, *, now_ms: Callable[[], int]) -> None:
        self._objects = objects
        self._now_ms = now_ms
        # By account, object and kind: a material of one kind is not one of another.
        self._known: OrderedDict[tuple[str, str, str], tuple[str, int]] = OrderedDict()

    async def ready(self, account: str, channel: Channel, attachment: Attachment) -> str | None:
        """Return the `media_id` that an attachment needs, empty for none; None where it fails."""
        key = needed_key(attachment)
        if key is None:
            return ""
        name = (account, key, attachment.kind)
        if (known := self._remembered(name)) is not None:
            return known
        try:
            media_id = await self._upload(channel, attachment, key)
        except (WeChatError, TransientError) as error:
            log.warning("upload.failed", extra={"account": account, "detail": str(error)[:300]})
            return None
        if media_id:
            self._remember(name, media_id)
        return media_id or None

    async def _upload(self, channel: Channel, attachment: Attachment, key: str) -> str:
        body = await self._objects.get(key) if key and channel.upload else None
        if body is None or channel.upload is None:
            return ""
        return await channel.upload(attachment, body)

    def _remembered(self, name: tuple[str, str, str]) -> str | None:
        media_id, until_ms = self._known.get(name, ("", 0))
        return media_id if self._now_ms() < until_ms else None

    def _remember(self, name: tuple[str, str, str], media_id: str) -> None:
        self._known[name] = media_id, self._now_ms() + int((LIFETIME - EARLY) * 1000)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, account: str, attachment: Attachment) -> None:
        """Upload it anew the next time: WeChat no longer knows it."""
        self._known.pop((account, needed_key(attachment) or "", attachment.kind), None)


def form_of(attachment: Attachment, media_id: str) -> Form:
    """Return what a passive reply is that shows an attachment."""
    if attachment.card is not None:
        return Form(kind="news", card=attachment.card)
    return Form(kind=attachment.kind, media_id=media_id)
