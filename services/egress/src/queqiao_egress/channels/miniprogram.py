"""Mini Programs: customer-service messages by API; the callback can only hand over.

Source: protocol reference 6 and 7.
"""

import httpx
from queqiao_common.settings import Account
from queqiao_common.settings import Delivery as Settings
from queqiao_wechat import cards
from queqiao_wechat.client import WeChatClient
from queqiao_wechat.media import MINIPROGRAM_UPLOADS

from queqiao_egress.channels.official import CALL
from queqiao_egress.channels.port import Channel, Message, Recipient, Traits
from queqiao_egress.channels.shared import (
    body_of,
    checked_upload,
    fetcher,
    transfer_seconds,
)
from queqiao_egress.pages import Attachment
from queqiao_egress.quota import Quota, Share

TYPING = "/cgi-bin/message/custom/business/typing"


class MiniProgram:
    """The customer-service chat of a Mini Program."""

    def __init__(
        self, account: Account, client: WeChatClient, http: httpx.AsyncClient, settings: Settings
    ) -> None:
        self._client = client
        self._fetch = fetcher(http, client.api, api_base=account.api)
        self.traits = Traits(
            call=CALL,
            shows=frozenset({"news", "miniprogram", "image"}),
            quota=Quota(
                message=Share(settings.quota, settings.quota_window),
                enter=Share(settings.enter_quota, settings.event_quota_window),
            ),
            marks_ai=settings.label_by_api,
            transfer_seconds=transfer_seconds(account),
            transfers_passively=True,
        )

    def channel(self) -> Channel:
        """Return what it can do."""
        return Channel(
            traits=self.traits,
            fetch=self._fetch,
            send=self.send,
            upload=self.upload,
            typing=self._client.typing,
        )

    async def send(self, message: Message, to: Recipient) -> None:
        """Send a customer-service message: text, picture, link or card."""
        ai = message.ai and self.traits.marks_ai
        card = message.attachment.card if message.attachment else None
        if card is not None and not card.appid:
            body = cards.link(
                title=card.title,
                description=card.description,
                url=card.url,
                picture_url=card.picture_url,
            )
        else:
            body = body_of(message, menu=cards.msgmenu)
        await self._client.send(to.openid, body, ai=ai)

    async def upload(self, _: Attachment, body: bytes) -> str:
        """Upload a picture: what a card shows is one, too."""
        return await checked_upload(self._client.api, "image", body, MINIPROGRAM_UPLOADS)
