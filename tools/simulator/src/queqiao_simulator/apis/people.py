"""Human agents of Official Accounts: who there is, and their sessions (reference 3.2, 5.3)."""

from typing import TYPE_CHECKING, Any

from queqiao_simulator import agents
from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.apis.calls import OK, ApiCall, Handler
from queqiao_simulator.refusals import Refused

if TYPE_CHECKING:
    from queqiao_simulator.world import World


NOBODY = "-"  # not "", which means whoever comes first


def list_agents(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /cgi-bin/customservice/getkflist`."""
    known = call.speaker().settings.agents
    return {
        "kf_list": [
            {"kf_account": one.account, "kf_nick": one.name, "kf_id": str(1001 + number)}
            for number, one in enumerate(known)
        ]
    }


def list_online(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /cgi-bin/customservice/getonlinekflist`: all of them, always."""
    account = call.speaker()
    served = [chat.agent for chat in account.conversations.values() if chat.agent]
    return {
        "kf_online_list": [
            {
                "kf_account": one.account,
                "status": 1,
                "kf_id": str(1001 + number),
                "accepted_case": served.count(one.account),
            }
            for number, one in enumerate(account.settings.agents)
        ]
    }


def create(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /customservice/kfsession/create`."""
    account, chat, name = _named(call)
    agents.open_session(world, account, chat, name)
    return OK


def close(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /customservice/kfsession/close`."""
    account, chat, name = _named(call)
    if chat.agent and chat.agent != name:
        raise Refused(agents.SERVED_BY_ANOTHER)
    agents.close(world, account, chat)
    return OK


def get(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /customservice/kfsession/getsession?openid=`."""
    account = call.speaker()
    chat = _chat(account, call.query.get("openid", ""))
    began = int(chat.agent_heard_at) if chat.agent else 0
    return OK | {"kf_account": chat.agent, "createtime": began}


def list_sessions(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /customservice/kfsession/getsessionlist?kf_account=`."""
    account = call.speaker()
    agent = agents.agent_of(account, call.query.get("kf_account", NOBODY))
    chats = [one for one in account.conversations.values() if one.agent == agent.account]
    return {
        "sessionlist": [
            {"openid": chat.openid, "createtime": int(chat.agent_heard_at)} for chat in chats
        ]
    }


def list_waiting(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /customservice/kfsession/getwaitcase`: nobody waits, people here never sleep."""
    call.speaker()
    return {"count": 0, "waitcaselist": []}


def _named(call: ApiCall) -> tuple[Account, Conversation, str]:
    account, body = call.speaker(), call.post()
    call.openid = str(body.get("openid", ""))
    name = str(body.get("kf_account", NOBODY))
    agents.agent_of(account, name)
    return account, _chat(account, call.openid), name


def _chat(account: Account, openid: str) -> Conversation:
    chat = account.conversations.get(openid)
    if chat is None:
        raise Refused(40003)
    return chat


HANDLERS: dict[str, Handler] = {
    "/cgi-bin/customservice/getkflist": list_agents,
    "/cgi-bin/customservice/getonlinekflist": list_online,
    "/customservice/kfsession/create": create,
    "/customservice/kfsession/close": close,
    "/customservice/kfsession/getsession": get,
    "/customservice/kfsession/getsessionlist": list_sessions,
    "/customservice/kfsession/getwaitcase": list_waiting,
}
