"""WeChat customer service of WeCom: pulling, sending, the state of a talk (reference 10.3)."""

from typing import TYPE_CHECKING, Any

from queqiao_simulator import customers
from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.apis.calls import OK, ApiCall, Handler
from queqiao_simulator.captions import caption_of_reply
from queqiao_simulator.refusals import Refused

if TYPE_CHECKING:
    from queqiao_simulator.world import World

BAD_KFID = 95000
TOO_MANY_ITEMS = 95008
ITEMS = 10
MEDIA = frozenset({"image", "voice", "video", "file"})
KINDS = MEDIA | {"text", "link", "miniprogram", "msgmenu", "location", "business_card"}


def sync(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/kf/sync_msg`."""
    account, body = _desk(world, call)
    if call.fault == "kf_empty_page":
        cursor = body.get("cursor") or "4gw0"
        return OK | {"next_cursor": cursor, "has_more": 1, "msg_list": []}
    page = account.kf.sync(body, call.now)
    return OK | {
        "next_cursor": page.next_cursor,
        "has_more": int(page.has_more),
        "msg_list": page.items,
    }


def send(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/kf/send_msg`: what cannot arrive is reported later, as `msg_send_fail`."""
    account, body = _desk(world, call)
    chat = _customer(call, account, body.get("touser"))
    text, content = _read(world, call, account, body)
    msgid, failure = account.kf.sending(chat.openid, body.get("msgid"), call.now)
    if call.fault == "kf_send_fail":
        failure = call.fail_type
    if failure or call.fault == "kf_send_fail":
        fields = {"fail_msgid": msgid, "fail_type": failure}
        world.timers.later(
            world.settings.kf.fail_delay,
            lambda: customers.happened(world, account, chat, "msg_send_fail", fields),
        )
    else:
        world.show(account, chat, text, kind=call.what, via="api", content=content)
    return OK | {"msgid": msgid}


def send_on_event(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/kf/send_msg_on_event`: a greeting, paid with a code."""
    account, body = _any_desk(world, call), call.post()
    call.what = str(body.get("msgtype", ""))
    if call.what not in ("text", "msgmenu"):
        raise Refused(40008)
    text, content = _read(world, call, account, body)
    owner = next((one for one in _desks(world, account) if one.kf.owns(body.get("code"))), account)
    customer, msgid = owner.kf.use_code(body.get("code"), body.get("msgid"), call.now)
    chat = owner.conversations[customer]
    world.show(owner, chat, text, kind=call.what, via="api", content=content)
    return OK | {"msgid": msgid}


def get_state(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/kf/service_state/get`."""
    account, body = _desk(world, call)
    chat = _customer(call, account, body.get("external_userid"))
    talk = account.kf.talk(chat.openid)
    return OK | {"service_state": talk.state, "servicer_userid": talk.servicer}


def change_state(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/kf/service_state/trans`."""
    account, body = _desk(world, call)
    chat = _customer(call, account, body.get("external_userid"))
    servicer = str(body.get("servicer_userid") or "")
    account.kf.move(chat.openid, body.get("service_state"), servicer)
    return OK | {"msg_code": account.kf.welcome_code(chat.openid, call.now)}


def list_accounts(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/kf/account/list`: every desk of the same company."""
    account = _any_desk(world, call)
    return OK | {
        "account_list": [
            {"open_kfid": one.settings.kfid, "name": one.settings.title, "avatar": ""}
            for one in _desks(world, account)
        ]
    }


def _any_desk(_: "World", call: ApiCall) -> Account:
    return call.sender("wecom_kf")


def _desks(world: "World", account: Account) -> list[Account]:
    corpid = account.settings.appid
    every = world.accounts.values()
    return [
        one for one in every if one.settings.kind == "wecom_kf" and one.settings.appid == corpid
    ]


def _desk(world: "World", call: ApiCall) -> tuple[Account, dict[str, Any]]:
    """The desk that the body names: one token serves all desks of a company.

    Raises:
        Refused: 95000; also as `ApiCall.sender` and `post`.
    """
    account, body = call.sender("wecom_kf"), call.post()
    wanted = body.get("open_kfid")
    for one in _desks(world, account):
        if one.settings.kfid == wanted:
            call.account = one
            return one, body
    raise Refused(BAD_KFID)


def _customer(call: ApiCall, account: Account, external_userid: object) -> Conversation:
    call.openid = str(external_userid or "")
    chat = account.conversations.get(call.openid)
    if chat is None:
        raise Refused(40003)
    return chat


def _read(
    world: "World", call: ApiCall, account: Account, body: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    kind = call.what = str(body.get("msgtype", ""))
    given = body.get(kind)
    if kind not in KINDS or not isinstance(given, dict):
        raise Refused(40008)
    if kind == "text":
        return _text(given, world.settings.kf.text_limit_bytes), {}
    if kind == "msgmenu":
        return _menu(given)
    if kind in MEDIA:
        if not account.media.has(given.get("media_id"), kind, call.now):
            raise Refused(40007)
        return caption_of_reply(kind, ""), {"media_id": given["media_id"]}
    return caption_of_reply(kind, str(given.get("title") or given.get("name") or "")), {
        "card": given
    }


def _text(given: dict[str, Any], limit_bytes: int) -> str:
    text = given.get("content")
    if not isinstance(text, str) or not text:
        raise Refused(44004)
    if len(text.encode()) > limit_bytes:
        raise Refused(45002)
    return text


def _menu(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    items = given.get("list") or []
    if not isinstance(items, list) or len(items) > ITEMS:
        raise Refused(TOO_MANY_ITEMS)
    clicks = [item["click"] for item in items if item.get("type") == "click"]
    for click in clicks:
        if len(str(click.get("id", "")).encode()) > 64:
            raise Refused(40058, "msgmenu click id")
        if not 1 <= len(str(click.get("content", "")).encode()) <= 128:
            raise Refused(40058, "msgmenu click content")
    offered = [{"id": str(one.get("id", "")), "content": str(one["content"])} for one in clicks]
    head, tail = str(given.get("head_content", "")), str(given.get("tail_content", ""))
    lines = [head, *(f"· {one['content']}" for one in offered), tail]
    return "\n".join(filter(None, lines)), {"head": head, "items": offered, "tail": tail}


HANDLERS: dict[str, Handler] = {
    "/cgi-bin/kf/sync_msg": sync,
    "/cgi-bin/kf/send_msg": send,
    "/cgi-bin/kf/send_msg_on_event": send_on_event,
    "/cgi-bin/kf/service_state/get": get_state,
    "/cgi-bin/kf/service_state/trans": change_state,
    "/cgi-bin/kf/account/list": list_accounts,
}
