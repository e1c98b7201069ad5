"""WeChat Customer Service of WeCom: pulling what customers say, and answering (reference 10.3)."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from queqiao_wechat.client import AmbiguousError, Api

CUSTOMER = 3
"""`origin` of what a customer sent; 4 is an event of the system, 5 a person who serves."""
LIMIT = 200
"""Items of one page: few, so that little is repeated after a crash (1,000 are allowed)."""

NEW, ASSISTANT, POOL, PERSON, ENDED = range(5)
"""States of a conversation; only in the first two may a program speak."""

FAILURES: Mapping[int, str] = {
    0: "unknown",
    1: "the account was deleted",
    2: "the app is closed",
    4: "48 hours have passed since the customer's last message",
    5: "the conversation is closed",
    6: "more than five messages since the customer's last one",
    7: "the channel is not bound",
    8: "the entity is not verified",
    9: "the channel's entity is not verified",
    10: "the customer refuses messages",
}
"""What `fail_type` of a `msg_send_fail` says."""


class Item(Struct, frozen=True, kw_only=True):
    """One line of a page of `sync_msg`; `body` holds all of it, whatever its type."""

    msgid: str = ""
    open_kfid: str = ""
    external_userid: str = ""
    send_time: int = 0
    origin: int = 0
    msgtype: str = ""
    body: dict[str, Any] = field(default_factory=dict)

    def part(self, name: str) -> dict[str, Any]:
        """Return the object of that name, or nothing."""
        found = self.body.get(name)
        return found if isinstance(found, dict) else {}


class Page(Struct, frozen=True, kw_only=True):
    """One answer of `sync_msg`: `has_more` may be true though it has no items."""

    items: tuple[Item, ...]
    next_cursor: str
    has_more: bool


class _Answer(Struct):
    next_cursor: str = ""
    has_more: int = 0
    msg_list: list[dict[str, Any]] = field(default_factory=list)


class KfClient:
    """The API in the name of one account."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def sync(self, open_kfid: str, *, cursor: str, token: str) -> Page:
        """Read what came after `cursor`; without one, everything of the last three days.

        `token` is the callback's, good for ten minutes; without it WeCom allows few calls.

        Raises:
            ApiError, AmbiguousError, UnreachableError: as `Api`. A repeat is harmless.
        """
        asked: dict[str, object] = {"open_kfid": open_kfid, "limit": LIMIT, "voice_format": 0}
        asked |= {"cursor": cursor} if cursor else {}
        asked |= {"token": token} if token else {}
        return page_of(await self.api.call("/cgi-bin/kf/sync_msg", asked))

    async def send(
        self, external_userid: str, open_kfid: str, message: Mapping[str, object], *, msgid: str
    ) -> None:
        """Send a message. A `msgid` (at most 32 of `[0-9a-zA-Z_-]`) is taken once and no more.

        Raises:
            ApiError, AmbiguousError, UnreachableError: as `Api`.
        """
        whom = {"touser": external_userid, "open_kfid": open_kfid, "msgid": msgid}
        await self.api.call("/cgi-bin/kf/send_msg", {**whom, **message})

    async def greet(self, code: str, message: Mapping[str, object], *, msgid: str) -> None:
        """Answer an event by its code: one message, within 20 s of a `welcome_code`.

        Raises:
            ApiError, AmbiguousError, UnreachableError: as `Api`.
        """
        payload = {"code": code, "msgid": msgid, **message}
        await self.api.call("/cgi-bin/kf/send_msg_on_event", payload)

    async def state(self, external_userid: str, open_kfid: str) -> int:
        """Return the state of a customer's conversation.

        Raises:
            ApiError, AmbiguousError, UnreachableError: as `Api`.
        """
        whom = {"external_userid": external_userid, "open_kfid": open_kfid}
        answer = await self.api.call("/cgi-bin/kf/service_state/get", whom)
        found = answer.get("service_state")
        return found if isinstance(found, int) else NEW

    async def move(
        self, external_userid: str, open_kfid: str, state: int, *, servicer: str = ""
    ) -> None:
        """Change the state of a conversation; state 3 needs the person who serves.

        Raises:
            ApiError: among others 95016, where no way leads there from the present state.
            AmbiguousError, UnreachableError: as `Api`.
        """
        whom: dict[str, object] = {"external_userid": external_userid, "open_kfid": open_kfid}
        whom |= {"service_state": state} | ({"servicer_userid": servicer} if servicer else {})
        await self.api.call("/cgi-bin/kf/service_state/trans", whom)


def page_of(answer: Mapping[str, object]) -> Page:
    """Read a page; a line that is not what it should be is kept with what can be read of it.

    Raises:
        AmbiguousError: it is no page at all.
    """
    try:
        found = msgspec.convert(dict(answer), _Answer, strict=False)
    except msgspec.ValidationError as error:
        raise AmbiguousError(f"sync_msg cannot be read: {error}") from None
    return Page(
        items=tuple(_item(one) for one in found.msg_list),
        next_cursor=found.next_cursor,
        has_more=found.has_more == 1,
    )


def _item(body: dict[str, Any]) -> Item:
    event = body.get("event")
    inner = event if isinstance(event, dict) else {}
    return Item(
        msgid=_text(body, "msgid"),
        # On events the ids stand inside.
        open_kfid=_text(body, "open_kfid") or _text(inner, "open_kfid"),
        external_userid=_text(body, "external_userid") or _text(inner, "external_userid"),
        send_time=_number(body, "send_time"),
        origin=_number(body, "origin"),
        msgtype=_text(body, "msgtype"),
        body=body,
    )


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _number(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
