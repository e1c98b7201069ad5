"""The control API beyond writing: taps, scans, people, accounts, labels, recordings."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct
from msgspec.json import decode

from queqiao_simulator import acting, agents, customers, faults, kf, menus, replay, views
from queqiao_simulator.accounts import Account, Conversation, UnknownError
from queqiao_simulator.allowlist import Decision
from queqiao_simulator.envelope import Fields
from queqiao_simulator.findings import Finding, findings
from queqiao_simulator.recording import Recorded
from queqiao_simulator.rules import Label
from queqiao_simulator.transcript import Alarm, Push
from queqiao_simulator.world import World
from queqiao_simulator.writings import Writing

Acting: TypeAlias = Callable[[World, bytes], object]
Reading: TypeAlias = Callable[[World, Mapping[str, str]], object]


class Someone(Struct, kw_only=True):
    """A user of an account."""

    account: str
    user: Annotated[str, Meta(min_length=1, description="openid, or a name")]


class Tap(Someone, kw_only=True):
    """`POST /control/taps`: a button of the menu, by key, address or name."""

    button: str


class Choice(Someone, kw_only=True):
    """`POST /control/choices`: an item of a msgmenu, by id or text."""

    item: str


class Scan(Someone, kw_only=True):
    """`POST /control/scans`: a QR code, by ticket or scene."""

    ticket: str


class Grant(Someone, kw_only=True):
    """`POST /control/subscriptions`: the user's answer to a request for notices."""

    template_id: str
    accept: bool = True
    count: Annotated[int, Meta(ge=1, le=1000)] = 1


class AgentAct(Someone, kw_only=True):
    """`POST /control/agents`: a person takes over, writes, hands on, or ends the session."""

    act: Literal["take", "say", "switch", "close"] = "say"
    text: str = ""
    agent: str = ""


class Consent(Someone, kw_only=True):
    """`POST /control/oauth`: the user lets a page know who they are."""

    scope: Literal["snsapi_base", "snsapi_userinfo"] = "snsapi_base"


class AccountPatch(Struct, kw_only=True):
    """`PUT /control/accounts`; what is left out stays."""

    account: str
    frozen: bool | None = None
    banned: bool | None = None
    address: Decision | None = None


class Recording(Struct, kw_only=True):
    """`POST /control/recording`."""

    on: bool


class Playing(Struct, kw_only=True):
    """`POST /control/replay`; without records, those of the last recording."""

    records: list[Recorded] | None = None
    speed: Annotated[float, Meta(ge=0, description="0: as fast as possible")] = 1.0


def tap(world: World, given: Tap) -> dict[str, Any]:
    """A user taps a button of the account's menu."""
    account, chat = _someone(world, given)
    button = menus.find(account.menu, given.button)
    if button is None:
        raise UnknownError(f"the menu of {given.account!r} has no button {given.button!r}")
    done = menus.tap(button, wecom=account.settings.is_wecom)
    if not done.event:
        # Material behind a button comes from the platform itself: the bot hears nothing.
        content = {"media_id": done.media_id}
        world.show(account, chat, str(button["name"]), kind="news", via="passive", content=content)
        return {"push": None, "openid": chat.openid}
    return _told(chat, world.happen(account, chat, done.event, done.key, done.fields))


def choose(world: World, given: Choice) -> dict[str, Any]:
    """A user taps an item of a menu inside the chat."""
    account, chat = _someone(world, given)
    return _told(chat, acting.choose(world, account, chat, given.item))


def scan(world: World, given: Scan) -> dict[str, Any]:
    """A user scans a QR code of the account."""
    account, chat = _someone(world, given)
    return _told(chat, acting.scan(world, account, chat, given.ticket))


def subscribe(world: World, given: Grant) -> dict[str, Any]:
    """A user accepts or rejects notices of a template."""
    account, chat = _someone(world, given)
    status = "accept" if given.accept else "reject"
    if given.accept:
        chat.granted[given.template_id] += given.count
    popup = {
        "TemplateId": given.template_id,
        "SubscribeStatusString": status,
        "PopupScene": "2",
    }
    event: Fields = {
        "MsgType": "event",
        "Event": "subscribe_msg_popup_event",
        "SubscribeMsgPopupEvent": {"List": popup},
    }
    return _told(chat, world.tell(account, chat, event))


def act_as_agent(world: World, given: AgentAct) -> dict[str, Any]:
    """A person serves the user."""
    account, chat = _someone(world, given)
    if given.act == "say":
        acting.answer_as_agent(world, account, chat, given.text)
    elif account.settings.kind == "wecom_kf":
        _serve(world, account, chat, given)
    elif given.act == "take":
        agents.open_session(world, account, chat, given.agent)
    elif given.act == "switch":
        agents.switch(world, account, chat, given.agent)
    else:
        agents.close(world, account, chat)
    return views.user_view(world, account, chat)


def _serve(world: World, account: Account, chat: Conversation, given: AgentAct) -> None:
    """A WeCom member takes a customer, hands them on, or ends the conversation."""
    members = account.settings.agents
    servicer = given.agent or (members[0].account if members else "servicer")
    state, change = {"take": (kf.HUMAN, 1), "switch": (kf.HUMAN, 2), "close": (kf.ENDED, 3)}[
        given.act
    ]
    account.kf.move(chat.openid, state, servicer)
    customers.moved(world, account, chat, change)


def consent(world: World, given: Consent) -> dict[str, str]:
    """The code that a page would receive in its redirect."""
    account, chat = _someone(world, given)
    return {"code": account.oauth.consent(chat.openid, given.scope, world.clock.now())}


def patch_account(world: World, given: AccountPatch) -> dict[str, Any]:
    """What the platform or the administrator does to an account."""
    account = world.account(given.account)
    if given.frozen is not None:
        account.frozen = given.frozen
    if given.banned is not None:
        account.banned = given.banned
    if given.address is not None:
        account.confirmation.decide(given.address, world.clock.now())
    return views.account_view(account)


def set_labels(world: World, labels: list[Label]) -> list[Label]:
    """What content checks say from now on, by keyword."""
    world.labels = tuple(labels)
    return labels


def record(world: World, given: Recording) -> dict[str, Any]:
    """Begin to note pushes in memory, or stop."""
    if given.on:
        world.recorder.start()
    else:
        world.recorder.stop()
    return {"on": world.recorder.is_on, "lines": len(world.recorder.lines())}


async def play(world: World, given: Playing) -> replay.Summary:
    """Have users do again what a recording says."""
    records = given.records
    if records is None:
        records = replay.parse(world.recorder.lines())

    async def post(push: Recorded) -> bool:
        _act_again(world, push)
        await asyncio.sleep(0)
        return True

    return await replay.play(records, post, speed=given.speed)


def _act_again(world: World, push: Recorded) -> None:
    path, body = replay.act_of(push)
    account = world.account(push.account)
    chat = account.conversation(push.user)
    common = ("account", "user", "kind", "text", "chatid", "event", "event_key")
    fields = {name: value for name, value in body.items() if name not in common}
    if path.endswith("/events"):
        key, chatid = body.get("event_key"), body.get("chatid", "")
        acting.happen(world, account, chat, body["event"], key, fields, chatid)
        return
    said = Writing(
        kind=body["kind"],
        text=body.get("text", ""),
        fields=fields,
        chatid=body.get("chatid", ""),
    )
    acting.write(world, account, chat, said)


def media(world: World, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """The temporary material of an account, without the bytes."""
    account = world.account(query.get("account", ""))
    return [
        {
            "id": one.id,
            "kind": one.kind,
            "mime": one.mime,
            "bytes": len(one.body),
            "created_at": one.created_at,
            "by_user": one.by_user,
        }
        for one in account.media.listed()
    ]


def accounts(world: World, _: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every account, with what the platform has done to it."""
    return [
        views.account_view(one) | {"suspended": world.pusher.is_suspended(one.settings.id)}
        for one in world.accounts.values()
    ]


def alarms(world: World, query: Mapping[str, str]) -> list[Alarm]:
    """What owners of accounts were told about their callbacks."""
    account = query.get("account", "")
    return [alarm for alarm in world.alarms if account in ("", alarm.account)]


def complaints(world: World, query: Mapping[str, str]) -> list[Finding]:
    """What is wrong in an account's chats."""
    account = world.account(query.get("account", ""))
    return findings(account, world.settings.accounts, world.calls, query.get("label", ""))


def recording(world: World, _: Mapping[str, str]) -> list[Recorded]:
    """What has been noted in memory."""
    return replay.parse(world.recorder.lines())


def fault_kinds(_: World, __: Mapping[str, str]) -> dict[str, list[str]]:
    """The names of everything that can go wrong."""
    return {"calls": sorted(faults.API_KINDS), "pushes": sorted(faults.PUSH_KINDS)}


ACTIONS: list[tuple[str, str, Acting]] = [
    ("POST", "/taps", lambda world, body: tap(world, decode(body, type=Tap))),
    ("POST", "/choices", lambda world, body: choose(world, decode(body, type=Choice))),
    ("POST", "/scans", lambda world, body: scan(world, decode(body, type=Scan))),
    ("POST", "/subscriptions", lambda world, body: subscribe(world, decode(body, type=Grant))),
    ("POST", "/agents", lambda world, body: act_as_agent(world, decode(body, type=AgentAct))),
    ("POST", "/oauth", lambda world, body: consent(world, decode(body, type=Consent))),
    ("POST", "/recording", lambda world, body: record(world, decode(body, type=Recording))),
    ("POST", "/replay", lambda world, body: play(world, decode(body or b"{}", type=Playing))),
    ("PUT", "/accounts", lambda world, body: patch_account(world, decode(body, type=AccountPatch))),
    ("PUT", "/labels", lambda world, body: set_labels(world, decode(body, type=list[Label]))),
]

READINGS: dict[str, Reading] = {
    "/accounts": accounts,
    "/alarms": alarms,
    "/findings": complaints,
    "/media": media,
    "/labels": lambda world, _: world.labels,
    "/recording": recording,
    "/fault-kinds": fault_kinds,
}


def _someone(world: World, given: Someone) -> tuple[Account, Conversation]:
    account = world.account(given.account)
    return account, account.conversation(given.user)


def _told(chat: Conversation, push: Push) -> dict[str, Any]:
    return {"push": push.id, "msgid": push.msgid, "openid": chat.openid}
