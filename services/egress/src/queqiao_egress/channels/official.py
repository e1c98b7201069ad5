"""Official accounts: passive replies, and customer-service messages where the API exists.

Source: protocol reference 4, 6 and 7.
"""

from functools import partial

import httpx
from queqiao_common.settings import Account
from queqiao_common.settings import Delivery as Settings
from queqiao_wechat import cards
from queqiao_wechat.client import Api, WeChatClient
from queqiao_wechat.media import UPLOADS

from queqiao_egress.channels.port import Channel, Message, Recipient, Traits
from queqiao_egress.channels.shared import (
    body_of,
    checked_upload,
    fetcher,
    kind_of,
    open_seconds,
    transfer_seconds,
)
from queqiao_egress.pages import Attachment
from queqiao_egress.quota import Quota, Share

CALL = "POST /cgi-bin/message/custom/send"
ENTER = Share(2, 60.0)


def quota_of(settings: Settings) -> Quota:
    """Return what the actions of a user allow (protocol reference 6.1)."""
    event = Share(settings.event_quota, settings.event_quota_window)
    return Quota(
        message=Share(settings.quota, settings.quota_window),
        event=event,
        enter=Share(min(ENTER.count, event.count), event.seconds),
    )


def traits_of(account: Account, settings: Settings) -> Traits:
    """Return what an account with customer-service messages can do.

    Where its replies leave by API alone, a callback still can hand a user over to people.
    """
    return Traits(
        call=CALL,
        shows=frozenset({"menu", "news", "miniprogram", "voice", "image"}),
        shows_passively=frozenset({"news", "voice", "image"}),
        open_seconds=open_seconds(account),
        quota=quota_of(settings),
        marks_ai=settings.label_by_api,
        transfers_passively=True,
        transfer_seconds=transfer_seconds(account),
    )


async def upload_to(api: Api, attachment: Attachment, body: bytes) -> str:
    """Upload temporary material."""
    return await checked_upload(api, kind_of(attachment), body, UPLOADS)


class PassiveOnly:
    """An account whose only way to answer is the callback itself.

    With an AppSecret (a verified account's) it can still exchange media.
    """

    def __init__(self, account: Account, api: Api | None, http: httpx.AsyncClient) -> None:
        self._api = api
        self._fetch = fetcher(http, api, api_base=account.api)
        self.traits = Traits(
            call="",
            shows_passively=frozenset({"news", "voice", "image"} if api else {"news"}),
            open_seconds=open_seconds(account),
            transfers_passively=True,
            transfer_seconds=transfer_seconds(account),
        )

    def channel(self) -> Channel:
        """Return what it can do."""
        upload = partial(upload_to, self._api) if self._api else None
        return Channel(traits=self.traits, fetch=self._fetch, upload=upload)


class Official:
    """An account with customer-service messages."""

    def __init__(
        self,
        account: Account,
        client: WeChatClient,
        http: httpx.AsyncClient,
        settings: Settings,
    ) -> None:
        self._client = client
        self._fetch = fetcher(http, client.api, api_base=account.api)
        self.traits = traits_of(account, settings)

    def channel(self) -> Channel:
        """Return what it can do."""
        return Channel(
            traits=self.traits,
            fetch=self._fetch,
            send=self.send,
            upload=partial(upload_to, self._client.api),
            typing=self._client.typing,
        )

    async def send(self, message: Message, to: Recipient) -> None:
        """Send a customer-service message."""
        ai = message.ai and self.traits.marks_ai
        if message.attachment is None:
            await self._client.send_text(to.openid, message.text, ai=ai)
        else:
            body = body_of(message, menu=cards.msgmenu)
            await self._client.send(to.openid, body, ai=ai)
