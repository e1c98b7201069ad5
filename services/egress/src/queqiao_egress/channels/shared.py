"""What several channels do alike: windows, bodies of messages, media."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx
from queqiao_common.events import Card, Media
from queqiao_common.settings import Account
from queqiao_wechat import cards, media
from queqiao_wechat.client import Api, GoneError, TooLargeError, UnreachableError, fetch
from queqiao_wechat.media import Kind, Limit
from queqiao_wechat.media_hosts import is_media_address

from queqiao_egress.channels.port import Message
from queqiao_egress.pages import Attachment

Resolve = Callable[[str], Awaitable[list[str]]]

ATTEMPTS = 3
ATTEMPT_SECONDS = 5.0
"""A message of a passive-only account is delivered three times, 5 s apart (reference 4.1)."""


def kind_of(attachment: Attachment) -> Kind:
    """Return the kind of material that an attachment needs: a card, the picture on it."""
    if attachment.kind == "miniprogram":
        return "thumb"
    return "voice" if attachment.kind == "voice" else "image"


def open_seconds(account: Account) -> float:
    """Return how long after its arrival a message's request can carry a reply."""
    if account.mode == "passive":
        return ATTEMPTS * ATTEMPT_SECONDS
    return account.passive_window if account.mode == "auto" else 0.0


def transfer_seconds(account: Account) -> float:
    """Return how long after its arrival a message's request can hand its user over to people."""
    return open_seconds(account) or account.passive_window


def body_of(message: Message, *, menu: Callable[..., cards.Body]) -> cards.Body:
    """Return the body of a message that has an attachment; menus differ from channel to channel."""
    attachment = message.attachment
    if attachment is None:
        return cards.text(message.text)
    if attachment.menu is not None:
        items = [(item.id, item.text) for item in attachment.menu.items]
        return menu(head=attachment.menu.head, items=items, tail=attachment.menu.tail)
    if attachment.card is not None:
        return _card(attachment.card, message.media_id)
    return cards.media(attachment.kind, message.media_id)


def _card(card: Card, media_id: str) -> cards.Body:
    if card.appid:
        return cards.miniprogrampage(
            title=card.title,
            appid=card.appid,
            page_path=card.page_path,
            thumb_media_id=media_id,
        )
    return cards.news(
        title=card.title,
        description=card.description,
        url=card.url,
        picture_url=card.picture_url,
    )


def needed_key(attachment: Attachment) -> str | None:
    """Return the key of the object that must be uploaded for an attachment; None for nothing."""
    if attachment.media is not None:
        return attachment.media.key
    if attachment.kind == "miniprogram" and attachment.card is not None:
        return attachment.card.picture_key
    return None


async def checked_upload(api: Api, kind: Kind, body: bytes, limits: Mapping[Kind, Limit]) -> str:
    """Upload what an attachment needs as this kind of material, unless WeChat would refuse it.

    Raises:
        TooLargeError: it is not what WeChat takes: too large, or of another type.
    """
    if reason := media.problem(kind, body, limits):
        raise TooLargeError(reason)
    return await media.upload(api, kind, body)


async def resolved(host: str) -> list[str]:
    """Return the addresses of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


async def check_public(url: str, resolve: Resolve) -> None:
    """Refuse a host, even one of WeChat's by name, that stands in somebody's own network.

    Raises:
        GoneError: it does.
        UnreachableError: its name has no address.
    """
    try:
        addresses = await resolve(urlsplit(url).hostname or "")
    except OSError as error:
        raise UnreachableError(f"the host of a picture is unknown ({error})") from None
    if not all(ip_address(one.partition("%")[0]).is_global for one in addresses):
        raise GoneError("the host of a picture is in a private network")


def fetcher(
    http: httpx.AsyncClient, api: Api | None, *, api_base: str, resolve: Resolve = resolved
) -> Callable[[Media, int], Awaitable[bytes]]:
    """Return what downloads media of a message: by its address where that is WeChat's, or its id.

    It raises `GoneError` where there is no way, or nothing at the end of it.
    """

    async def fetch_media(what: Media, limit_bytes: int) -> bytes:
        if what.url and is_media_address(what.url, api_base=api_base):
            if is_media_address(what.url, api_base=""):  # not the API that the operator has named
                await check_public(what.url, resolve)
            return await fetch(http, what.url, limit_bytes=limit_bytes)
        if api is None or not what.media_id:
            raise GoneError("the message names no address of WeChat's")
        return await media.download(api, what.media_id, limit_bytes=limit_bytes)

    return fetch_media
