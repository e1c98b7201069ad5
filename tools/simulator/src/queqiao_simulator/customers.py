"""Customers of WeChat customer service (WeCom): what they do waits in the log to be pulled.

Source: protocol reference 10.3.
"""

from typing import TYPE_CHECKING, Any

from queqiao_simulator import kf
from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.envelope import Fields
from queqiao_simulator.transcript import Push
from queqiao_simulator.writings import Composed

if TYPE_CHECKING:
    from queqiao_simulator.world import World


def write(world: "World", account: Account, chat: Conversation, said: Composed) -> Push:
    """A customer writes; it waits in the log, and a push says so."""
    now = world.clock.now()
    msgid = said.msgid or f"kf{world.new_msgid()}"
    chat.interacted_at = now
    account.kf.heard(chat.openid, now)
    item = _item(account, chat, msgid, now, kf.CUSTOMER)
    item |= {"msgtype": said.kind, said.kind: said.body}
    account.kf.add(item, now)
    entry = world.entry("user", said.text, kind=said.kind, msgid=msgid, content=said.content)
    world.add_act(account, chat, entry)
    return _push(world, account, chat, item)


def enter(world: "World", account: Account, chat: Conversation, fields: dict[str, Any]) -> Push:
    """A customer opens the chat: an event with a welcome code that is good for 20 seconds."""
    account.kf.talk(chat.openid)
    code = account.kf.welcome_code(chat.openid, world.clock.now())
    world.add(account, chat, world.entry("user", "enter_session", kind="event"))
    return happened(
        world,
        account,
        chat,
        "enter_session",
        {"scene": "simulator", "scene_param": "", **fields, "welcome_code": code},
    )


def happened(
    world: "World", account: Account, chat: Conversation, name: str, fields: dict[str, Any]
) -> Push:
    """Put an event into the log, and say that there is something to pull."""
    now = world.clock.now()
    msgid = f"kfe{world.new_msgid()}"
    ids = {"open_kfid": account.settings.kfid, "external_userid": chat.openid}
    item = {
        "msgid": msgid,
        "send_time": int(now),
        "origin": kf.SYSTEM,
        "msgtype": "event",
        "event": {"event_type": name, **ids, **fields},
    }
    account.kf.add(item, now)
    return _push(world, account, chat, item)


def answer(world: "World", account: Account, chat: Conversation, text: str) -> None:
    """The human agent who serves the customer writes."""
    now = world.clock.now()
    talk = account.kf.talk(chat.openid)
    item = _item(account, chat, f"kf{world.new_msgid()}", now, kf.SERVICER)
    item |= {"servicer_userid": talk.servicer, "msgtype": "text", "text": {"content": text}}
    account.kf.add(item, now)
    world.show(account, chat, text, kind="text", via="agent", content={"agent": talk.servicer})
    _push(world, account, chat, item)


def moved(world: "World", account: Account, chat: Conversation, change: int) -> None:
    """Report a change of the conversation's state that was not the API's own."""
    talk = account.kf.talk(chat.openid)
    fields = {"change_type": change, "new_servicer_userid": talk.servicer}
    happened(world, account, chat, "session_status_change", fields)


def _item(
    account: Account, chat: Conversation, msgid: str, now: float, origin: int
) -> dict[str, Any]:
    return {
        "msgid": msgid,
        "open_kfid": account.settings.kfid,
        "external_userid": chat.openid,
        "send_time": int(now),
        "origin": origin,
    }


def _push(world: "World", account: Account, chat: Conversation, item: dict[str, Any]) -> Push:
    """The callback that carries no content, only a token to pull with."""
    now = world.clock.now()
    fields: Fields = {
        "ToUserName": account.settings.appid,
        "CreateTime": int(now),
        "MsgType": "event",
        "Event": "kf_msg_or_event",
        "Token": account.kf.new_token(now),
        "OpenKfId": account.settings.kfid,
    }
    carrier = world.entry("user", "", kind="event", msgid=item["msgid"])
    return world.push(account, chat, carrier, fields, said=item)
