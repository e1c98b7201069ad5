"""Messages of WeCom's own apps (reference 10.1)."""

from typing import TYPE_CHECKING, Any

from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.apis.calls import OK, ApiCall, Handler
from queqiao_simulator.captions import caption_of_reply
from queqiao_simulator.refusals import Refused

if TYPE_CHECKING:
    from queqiao_simulator.world import World

BAD_AGENT, NO_TARGET, NOBODY_VALID = 40056, 82001, 81013
RECEIVERS = 1000
MINUTE = 60.0
MEDIA = {"image": "image", "voice": "voice", "video": "video", "file": "file"}
TEXTS = {"text": "text", "markdown": "markdown"}
CARDS = frozenset({"textcard", "news", "mpnews", "template_card", "miniprogram_notice"})


def send(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/message/send`: to members by id; unknown ones are named in the answer."""
    account, body = call.sender("wecom"), call.post()
    call.openid, call.what = str(body.get("touser", "")), str(body.get("msgtype", ""))
    if str(body.get("agentid")) != str(account.settings.agent_id):
        raise Refused(BAD_AGENT)
    if not any(body.get(name) for name in ("touser", "toparty", "totag")):
        raise Refused(NO_TARGET)
    kind, text, content = _read(world, call, account, body)
    members, unknown = _receivers(account, call.openid)
    if not members:
        raise Refused(NOBODY_VALID)
    for chat in members:
        _show(world, account, chat, kind, text, content)
    number = world.new_msgid()
    return OK | {"invaliduser": "|".join(unknown), "invalidparty": "", "msgid": number}


def _read(
    world: "World", call: ApiCall, account: Account, body: dict[str, Any]
) -> tuple[str, str, dict[str, Any]]:
    kind = call.what
    given = body.get(kind)
    if kind not in (*TEXTS, *MEDIA, *CARDS) or not isinstance(given, dict):
        raise Refused(40008)
    if kind in TEXTS:
        text = given.get("content")
        if not isinstance(text, str) or not text:
            raise Refused(44004)
        return kind, _cut(text, world.settings.wecom.text_limit_bytes), {}
    if kind in MEDIA:
        if not account.media.has(given.get("media_id"), MEDIA[kind], call.now):
            raise Refused(40007)
        return kind, caption_of_reply(kind, ""), {"media_id": given["media_id"]}
    title = str(given.get("title") or (given.get("main_title") or {}).get("title") or "")
    return kind, caption_of_reply(kind, title), {"card": given}


def _cut(text: str, limit_bytes: int) -> str:
    """What is left of a text: WeCom cuts without a word."""
    return text.encode()[:limit_bytes].decode(errors="ignore")


def _receivers(account: Account, touser: str) -> tuple[list[Conversation], list[str]]:
    if touser == "@all":
        return list(account.conversations.values()), []
    names = [name for name in touser.split("|") if name][:RECEIVERS]
    members = [account.conversations[name] for name in names if name in account.conversations]
    return members, [name for name in names if name not in account.conversations]


def _show(
    world: "World",
    account: Account,
    chat: Conversation,
    kind: str,
    text: str,
    content: dict[str, Any],
) -> None:
    now = world.clock.now()
    while chat.received and now - chat.received[0] >= MINUTE:
        chat.received.popleft()
    if len(chat.received) >= world.settings.wecom.per_minute:
        world.shown["lost"] += 1
        return
    chat.received.append(now)
    world.show(account, chat, text, kind=kind, via="api", content=content)


HANDLERS: dict[str, Handler] = {"/cgi-bin/message/send": send}
