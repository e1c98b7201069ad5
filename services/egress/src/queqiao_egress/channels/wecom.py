"""An own app of WeCom: passive replies, then `message/send` (protocol reference 10.1).

Nothing is counted in time, but a member's 31st message of a minute is lost without a word, and so
is what a text has above 2,048 bytes: egress paces and cuts by itself.
"""

import httpx
from queqiao_common.settings import Account
from queqiao_wechat import cards
from queqiao_wechat.media import WECOM_UPLOADS
from queqiao_wechat.wecom_client import WeComClient

from queqiao_egress.channels.port import Channel, Message, Recipient, Traits
from queqiao_egress.channels.shared import (
    body_of,
    checked_upload,
    fetcher,
    kind_of,
    open_seconds,
)
from queqiao_egress.pages import Attachment

PER_MINUTE = 30


class WeCom:
    """The chat of an own app."""

    def __init__(self, account: Account, client: WeComClient, http: httpx.AsyncClient) -> None:
        self._client = client
        self._fetch = fetcher(http, client.api, api_base=account.api)
        self.traits = Traits(
            call="POST /cgi-bin/message/send",
            markdown=account.markdown,
            shows=frozenset({"news", "voice", "image"}),
            shows_passively=frozenset({"news", "voice", "image"}),
            open_seconds=open_seconds(account),
            per_minute=PER_MINUTE,
        )

    def channel(self) -> Channel:
        """Return what it can do."""
        return Channel(traits=self.traits, fetch=self._fetch, send=self.send, upload=self.upload)

    async def send(self, message: Message, to: Recipient) -> None:
        """Send a message to one member; Markdown where the account's members can see it."""
        card = message.attachment.card if message.attachment else None
        if message.attachment is None:
            render = cards.markdown if self.traits.markdown else cards.text
            body = render(message.text)
        elif card is not None and not card.picture_url:
            body = cards.textcard(title=card.title, description=card.description, url=card.url)
        else:
            body = body_of(message, menu=cards.msgmenu)
        await self._client.send(to.openid, body)

    async def upload(self, attachment: Attachment, body: bytes) -> str:
        """Upload temporary material."""
        return await checked_upload(self._client.api, kind_of(attachment), body, WECOM_UPLOADS)
