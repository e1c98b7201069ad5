"""Content security, for Mini Programs only (reference 8)."""

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from queqiao_simulator import content_check
from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.apis.calls import OK, ApiCall, Handler
from queqiao_simulator.refusals import Refused

if TYPE_CHECKING:
    from queqiao_simulator.world import World

MINUTE_LIMIT, DAY_LIMIT = 44991, 45009
INACTIVE, REPEATED, MISMATCH = 61010, 87020, 43104
AUDIO, PICTURE = 1, 2
PLATFORM_USER = "platform_user"


def check_text(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /wxa/msg_sec_check`."""
    account, body = call.sender("miniprogram"), call.post()
    text = content_check.text_of(body, world.settings.content)
    _user(world, call, account, body)
    _count(account, call.now)
    label = content_check.label_of(text, world.labels)
    return OK | content_check.verdict(label, _trace())


def check_media(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /wxa/media_check_async`: the result is pushed later, as `wxa_media_check`."""
    account, body = call.sender("miniprogram"), call.post()
    content_check.check_scene(body)
    url = body.get("media_url")
    if not isinstance(url, str) or not url:
        raise Refused(47001, "media_url")
    if body.get("media_type") not in (AUDIO, PICTURE):
        raise Refused(40004)
    chat = _user(world, call, account, body)
    _count(account, call.now)
    if url in account.checked_media:
        raise Refused(REPEATED)
    account.checked_media.add(url)
    trace = _trace()
    event = _result(world, account, url, trace)
    world.timers.later(world.settings.content.media_delay, lambda: world.tell(account, chat, event))
    return OK | {"trace_id": trace}


def _result(world: "World", account: Account, url: str, trace: str) -> dict[str, Any]:
    label = content_check.label_of(url, world.labels)
    common = {
        "FromUserName": PLATFORM_USER,
        "MsgType": "event",
        "Event": "wxa_media_check",
        "appid": account.settings.appid,
        "version": 2,
    }
    if not _exists(world, account, url):
        failed = {"errcode": content_check.DOWNLOAD_FAILED, "errmsg": "download failed"}
        return common | {"trace_id": trace} | failed
    return common | {"errcode": 0, "errmsg": "ok"} | content_check.verdict(label, trace)


def _exists(world: "World", account: Account, url: str) -> bool:
    """Whether the medium can be fetched; whatever is elsewhere is believed to be there."""
    if not world.base_url or not url.startswith(world.base_url):
        return True
    media_id = urlsplit(url).path.rsplit("/", 1)[-1]
    return account.media.find(media_id, world.clock.now()) is not None


def _user(world: "World", call: ApiCall, account: Account, body: dict[str, Any]) -> Conversation:
    call.openid = str(body.get("openid", ""))
    chat = account.conversations.get(call.openid)
    if chat is None:
        others = (one for one in world.accounts.values() if one is not account)
        foreign = any(call.openid in one.conversations for one in others)
        raise Refused(MISMATCH if foreign else 40003)
    if call.now - chat.interacted_at > world.settings.content.active_within:
        raise Refused(INACTIVE)
    return chat


def _count(account: Account, now: float) -> None:
    if not account.checks_a_minute.take(now):
        raise Refused(MINUTE_LIMIT)
    if not account.checks_a_day.take(now):
        raise Refused(DAY_LIMIT)


def _trace() -> str:
    return f"{secrets.token_hex(4)}-{secrets.token_hex(8)}"


HANDLERS: dict[str, Handler] = {
    "/wxa/msg_sec_check": check_text,
    "/wxa/media_check_async": check_media,
}
