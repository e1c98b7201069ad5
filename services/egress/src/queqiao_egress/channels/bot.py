"""An AI bot of WeCom: a stream that the platform asks for, then one message by `response_url`.

Source: protocol reference 10.2. What the stream shows is in bucket `displays` (see `showing`).
"""

import logging
from collections.abc import Callable

import httpx
from queqiao_common.events import Media
from queqiao_wechat import bot_client, cards
from queqiao_wechat.client import ApiError, GoneError
from queqiao_wechat.crypto import CryptoError
from queqiao_wechat.errcodes import WECOM, lookup
from queqiao_wechat.media_hosts import is_api_address

from queqiao_egress.channels.port import Channel, Message, Recipient, Traits
from queqiao_egress.channels.shared import fetcher
from queqiao_egress.quota import Quota, Share

log = logging.getLogger(__name__)

LIMIT_BYTES = 20_480
STREAM_SECONDS = 350.0
"""The platform asks for six minutes; a poll takes a moment, and clocks differ."""
RESPONSE_SECONDS = 3600.0
PAD_BYTES = 64
"""What encryption may add to a file."""
NO_CODE = 40029
USED_CODE = 40163


class Bot:
    """One AI bot."""

    def __init__(
        self, http: httpx.AsyncClient, *, api_base: str, open_file: Callable[[bytes], bytes]
    ) -> None:
        self._http = http
        self._api_base = api_base
        self._open_file = open_file
        self._fetch = fetcher(http, None, api_base=api_base)
        self.traits = Traits(
            call="POST response_url",
            limit_bytes=LIMIT_BYTES,
            markdown=True,
            open_seconds=STREAM_SECONDS,
            quota=Quota(message=Share(1, RESPONSE_SECONDS)),
            is_idempotent=True,  # the address works once
        )

    def channel(self) -> Channel:
        """Return what it can do."""
        return Channel(traits=self.traits, fetch=self.fetch, send=self.send)

    async def send(self, message: Message, to: Recipient) -> None:
        """Send the one message that the newest question allows."""
        url = next((one.ticket for one in reversed(to.waiting) if one.ticket), "")
        if not is_api_address(url, api_base=self._api_base):
            known = lookup(NO_CODE, WECOM)
            raise ApiError(NO_CODE, "no response_url", known.action, meaning=known.meaning)
        try:
            await bot_client.respond(self._http, url, cards.markdown(message.text))
        except ApiError as error:
            if not (message.again and error.errcode == USED_CODE):
                raise
            log.info("delivery.taken_before", extra={"errcode": error.errcode})

    async def fetch(self, media: Media, limit_bytes: int) -> bytes:
        """Download a file, good for five minutes, and decrypt it.

        Raises:
            GoneError: there is none, or it is not for us.
        """
        sealed = await self._fetch(media, limit_bytes + PAD_BYTES)
        try:
            return self._open_file(sealed)
        except CryptoError as error:
            raise GoneError(f"media of an AI bot: {error}") from None
