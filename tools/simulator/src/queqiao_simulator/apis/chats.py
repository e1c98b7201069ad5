"""Customer-service messages and the typing state (reference 6)."""

from typing import TYPE_CHECKING, Any

from queqiao_simulator import quota, sending
from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.apis.calls import OK, UNAUTHORIZED, ApiCall, Handler
from queqiao_simulator.captions import caption_of_reply
from queqiao_simulator.refusals import Refused

if TYPE_CHECKING:
    from queqiao_simulator.world import World

CHATTING = ("service", "subscription", "miniprogram")


def send(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/message/custom/send`."""
    account, body = call.sender(*CHATTING), call.post()
    call.openid, call.what = str(body.get("touser", "")), str(body.get("msgtype", ""))
    if not account.settings.may_send:
        raise Refused(UNAUTHORIZED)
    account.take("custom_send", call.now)
    chat = sending.reachable(account.conversations.get(call.openid))
    message = sending.outgoing(
        body,
        call.body,
        world.settings.send,
        account=account.settings.kind,
        has_medium=lambda media_id, kind: account.media.has(media_id, kind, call.now),
    )
    errcode, chat.window = quota.spend(chat.window, call.now)
    if errcode:
        raise Refused(errcode)
    world.show(
        account,
        chat,
        caption_of_reply(message.kind, message.text),
        kind=message.kind,
        via="api",
        ai=message.is_ai,
        content=message.content,
    )
    return OK


def typing(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/message/custom/typing` of an Official Account."""
    return _typing(world, call, call.sender("service", "subscription"))


def business_typing(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/message/custom/business/typing` of a Mini Program."""
    return _typing(world, call, call.sender("miniprogram"))


def _typing(world: "World", call: ApiCall, account: Account) -> dict[str, Any]:
    body = call.post()
    call.openid, call.what = str(body.get("touser", "")), str(body.get("command", ""))
    if not account.settings.may_send:
        raise Refused(UNAUTHORIZED)
    chat: Conversation = sending.reachable(account.conversations.get(call.openid))
    if not quota.is_open(chat.window, call.now):
        raise Refused(quota.WINDOW_CLOSED)
    until = sending.typing(body.get("command"), chat, call.now, world.settings.send)
    chat.typing_until = until
    world.changed("typing", account, chat)
    return OK


HANDLERS: dict[str, Handler] = {
    "/cgi-bin/message/custom/send": send,
    "/cgi-bin/message/custom/typing": typing,
    "/cgi-bin/message/custom/business/typing": business_typing,
}
