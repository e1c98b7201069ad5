"""People who take over a conversation of an Official Account or Mini Program.

Source: protocol reference 4 (transfer_customer_service), 3.2 (kf_create_session and the others),
5.3 (65400 to 65415). While a person serves a user, what the user writes goes to that person and
is not pushed; after half an hour of silence it is pushed again.
"""

from typing import TYPE_CHECKING, Any

from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.refusals import Refused
from queqiao_simulator.settings import Agent

if TYPE_CHECKING:
    from queqiao_simulator.world import World

NOT_ENABLED = 65400
UNKNOWN_AGENT = 65401
NO_SESSION = 65413
SERVED_BY_ANOTHER = 65414


def agent_of(account: Account, name: str) -> Agent:
    """One of the account's people; "" is the first.

    Raises:
        Refused: 65400 (there is nobody) or 65401.
    """
    agents = account.settings.agents
    if not agents:
        raise Refused(NOT_ENABLED)
    found = next((one for one in agents if name in ("", one.account)), None)
    if found is None:
        raise Refused(UNKNOWN_AGENT)
    return found


def is_served(world: "World", account: Account, chat: Conversation) -> bool:
    """Whether a person serves the user at the moment; the user's word keeps the session."""
    now = world.clock.now()
    if not chat.agent:
        return False
    if now - chat.agent_heard_at >= world.settings.send.agent_session:
        close(world, account, chat)
        return False
    chat.agent_heard_at = now
    return True


def hand_over(world: "World", account: Account, chat: Conversation, name: str) -> None:
    """A bot's answer asked for a person: a session begins if there is one."""
    try:
        open_session(world, account, chat, name)
    except Refused as refused:
        line = world.entry("platform", "", kind="waiting", content={"errcode": refused.errcode})
        line.text = "暂时没有人工客服在线"
        world.add(account, chat, line)


def open_session(world: "World", account: Account, chat: Conversation, name: str) -> None:
    """A person takes over.

    Raises:
        Refused: 65400, 65401, or 65414 (somebody else serves the user).
    """
    agent = agent_of(account, name)
    if chat.agent and chat.agent != agent.account:
        raise Refused(SERVED_BY_ANOTHER)
    if chat.agent:
        return
    chat.agent, chat.agent_heard_at = agent.account, world.clock.now()
    world.tell(account, chat, _event("kf_create_session", KfAccount=agent.account))
    if agent.greeting:
        answer(world, account, chat, agent.greeting)


def switch(world: "World", account: Account, chat: Conversation, name: str) -> None:
    """Another person takes over.

    Raises:
        Refused: 65401 or 65413.
    """
    agent = agent_of(account, name)
    if not chat.agent:
        raise Refused(NO_SESSION)
    before, chat.agent = chat.agent, agent.account
    fields = {"FromKfAccount": before, "ToKfAccount": agent.account}
    world.tell(account, chat, _event("kf_switch_session", **fields))


def answer(world: "World", account: Account, chat: Conversation, text: str) -> None:
    """The person writes to the user.

    Raises:
        Refused: 65413, no session is open.
    """
    if not chat.agent:
        raise Refused(NO_SESSION)
    chat.agent_heard_at = world.clock.now()
    content = {"agent": chat.agent}
    world.show(account, chat, text, kind="text", via="agent", content=content)


def close(world: "World", account: Account, chat: Conversation) -> None:
    """The session ends; the user's messages are pushed again.

    Raises:
        Refused: 65413.
    """
    if not chat.agent:
        raise Refused(NO_SESSION)
    before, chat.agent = chat.agent, ""
    world.tell(account, chat, _event("kf_close_session", KfAccount=before))


def _event(name: str, **fields: Any) -> dict[str, Any]:
    return {"MsgType": "event", "Event": name, **fields}
