"""Template and subscription messages, and the events that tell their end (reference 9)."""

from typing import TYPE_CHECKING, Any

from queqiao_simulator import notices, sending
from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.apis.calls import OK, ApiCall, Handler
from queqiao_simulator.refusals import Refused

if TYPE_CHECKING:
    from queqiao_simulator.world import World

NOT_FOLLOWING, NOT_SUBSCRIBED = 43004, 43101


def send_template(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/message/template/send` of a service account."""
    account, body = call.sender("service"), call.post()
    chat = _receiver(call, account, body)
    text = notices.text_of(body, account.settings.templates)
    if not chat.subscribed:
        raise Refused(NOT_FOLLOWING)
    number = int(world.new_msgid()) % 10**9
    status = "failed:user block" if chat.refusing else "success"
    if not chat.refusing:
        _show(world, account, chat, text, body)
    finished = {
        "MsgType": "event",
        "Event": "TEMPLATESENDJOBFINISH",
        "MsgID": number,
        "Status": status,
    }
    _later(world, account, chat, finished)
    return OK | {"msgid": number}


def send_notice(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/message/subscribe/bizsend` of an Official Account."""
    account = call.sender("service", "subscription")
    return _subscribed(world, call, account, call.post())


def send_mini_program_notice(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/message/subscribe/send` of a Mini Program."""
    account, body = call.sender("miniprogram"), call.post()
    fields = body.get("data")
    if isinstance(fields, dict) and all(isinstance(one, dict) for one in fields.values()):
        notices.check_values({name: {"value": "", **one} for name, one in fields.items()})
    return _subscribed(world, call, account, body)


def _subscribed(
    world: "World", call: ApiCall, account: Account, body: dict[str, Any]
) -> dict[str, Any]:
    chat = _receiver(call, account, body)
    words = world.settings.send.forbidden_words
    text = notices.text_of(body, account.settings.templates, words)
    template = body["template_id"]
    if chat.granted[template] <= 0:
        raise Refused(NOT_SUBSCRIBED)
    chat.granted[template] -= 1
    number = int(world.new_msgid()) % 10**9
    _show(world, account, chat, text, body)
    sent = {"TemplateId": template, "MsgID": number, "ErrorCode": 0, "ErrorStatus": "success"}
    finished = {
        "MsgType": "event",
        "Event": "subscribe_msg_sent_event",
        "SubscribeMsgSentEvent": {"List": sent},
    }
    _later(world, account, chat, finished)
    return OK | {"msgid": number}


def _receiver(call: ApiCall, account: Account, body: dict[str, Any]) -> Conversation:
    call.openid, call.what = str(body.get("touser", "")), str(body.get("template_id", ""))
    chat = account.conversations.get(call.openid)
    # A notice is not a chat message: whoever refuses messages is told so by the finish event.
    return chat if chat is not None and chat.refusing else sending.reachable(chat)


def _show(
    world: "World", account: Account, chat: Conversation, text: str, body: dict[str, Any]
) -> None:
    content = {"template": body["template_id"], "url": body.get("url") or body.get("page") or ""}
    world.show(account, chat, text, kind="template", via="api", content=content)


def _later(world: "World", account: Account, chat: Conversation, event: dict[str, Any]) -> None:
    delay = world.settings.send.finish_delay
    world.timers.later(delay, lambda: world.tell(account, chat, event))


HANDLERS: dict[str, Handler] = {
    "/cgi-bin/message/template/send": send_template,
    "/cgi-bin/message/subscribe/bizsend": send_notice,
    "/cgi-bin/message/subscribe/send": send_mini_program_notice,
}
