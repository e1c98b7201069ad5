"""WeChat Customer Service of WeCom: a message has a key, so that none is ever in doubt.

Source: protocol reference 10.3.
"""

import logging
from collections.abc import Callable

import httpx
from queqiao_common.settings import Account
from queqiao_common.settings import Delivery as Settings
from queqiao_wechat import cards, kf_client
from queqiao_wechat.client import ApiError
from queqiao_wechat.errcodes import Action
from queqiao_wechat.kf_client import KfClient
from queqiao_wechat.media import WECOM_UPLOADS

from queqiao_egress.channels.port import Channel, Message, Recipient, Traits
from queqiao_egress.channels.shared import body_of, checked_upload, fetcher, kind_of
from queqiao_egress.pages import Attachment
from queqiao_egress.quota import Quota, Share

log = logging.getLogger(__name__)

WELCOME_SECONDS = 20.0
"""How long a welcome code works; it allows one message."""
NO_WAY = 95016


class Kf:
    """One account of WeChat Customer Service."""

    def __init__(
        self,
        account: Account,
        client: KfClient,
        http: httpx.AsyncClient,
        settings: Settings,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._client = client
        self._fetch = fetcher(http, client.api, api_base=account.api)
        self._now_ms = now_ms
        self.traits = Traits(
            call="POST /cgi-bin/kf/send_msg",
            shows=frozenset({"menu", "voice", "image"}),
            quota=Quota(
                message=Share(settings.quota, settings.quota_window),
                enter=Share(1, WELCOME_SECONDS),
            ),
            is_idempotent=True,
        )

    def channel(self) -> Channel:
        """Return what it can do."""
        return Channel(
            traits=self.traits,
            fetch=self._fetch,
            send=self.send,
            upload=self.upload,
            transfer=self.transfer,
            take_back=self.take_back,
        )

    async def send(self, message: Message, to: Recipient) -> None:
        """Send a message, or the greeting that an event allows."""
        body = body_of(message, menu=cards.kf_msgmenu)
        try:
            if code := self._welcome_code(to):
                await self._client.greet(code, body, msgid=message.key)
            else:
                await self._client.send(to.openid, to.peer, body, msgid=message.key)
        except ApiError as error:
            if not (message.again and error.action is Action.BUG):
                raise
            # The key was used: by the earlier call, whose answer nobody has seen.
            log.info("delivery.taken_before", extra={"errcode": error.errcode})

    def _welcome_code(self, to: Recipient) -> str:
        """Return the code of a user who has only come in; who has written is answered as usual."""
        newest = to.waiting[-1] if to.waiting else None
        if newest is None or any(one.trigger == "message" for one in to.waiting):
            return ""
        is_late = self._now_ms() - newest.received_ms > WELCOME_SECONDS * 1000
        return "" if is_late else newest.ticket

    async def transfer(self, to: Recipient, agent: str) -> None:
        """Put the customer into the queue for people, or before the one named."""
        state = kf_client.PERSON if agent else kf_client.POOL
        await self._client.move(to.openid, to.peer, state, servicer=agent)

    async def take_back(self, to: Recipient) -> None:
        """Take the customer from the queue or the person, where WeCom has a way.

        From people there is none but the end of their conversation: the customer's next message
        then begins a new one, which is a program's again.
        """
        state = await self._client.state(to.openid, to.peer)
        if state not in (kf_client.POOL, kf_client.PERSON):
            return
        try:
            await self._client.move(to.openid, to.peer, kf_client.ASSISTANT)
        except ApiError as error:
            if error.errcode != NO_WAY:
                raise
            await self._client.move(to.openid, to.peer, kf_client.ENDED)

    async def upload(self, attachment: Attachment, body: bytes) -> str:
        """Upload temporary material."""
        return await checked_upload(self._client.api, kind_of(attachment), body, WECOM_UPLOADS)
