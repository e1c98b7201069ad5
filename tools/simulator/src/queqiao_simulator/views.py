"""What the control API tells about accounts, users and load. Pure reading of the world."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from queqiao_simulator import quota
from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.world import World

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def about(world: World) -> dict[str, Any]:
    """What the page shows around the phone."""
    return {
        "notice": world.settings.page.notice,
        "notice_en": world.settings.page.notice_en or world.settings.page.notice,
        "error_text": world.settings.push.error_text,
        "accounts": [account_view(account) for account in world.accounts.values()],
        "recording": str(world.recorder.path or ""),
    }


def account_view(account: Account) -> dict[str, Any]:
    """What may be told about an account: no secrets."""
    settings = account.settings
    return {
        "id": settings.id,
        "name": settings.title,
        "kind": settings.kind,
        "mode": settings.sealing,
        "appid": settings.appid,
        "original_id": settings.gh_id,
        "may_send": settings.may_send,
        "callbacks": account.callbacks,
        "follows": settings.is_official,
        "agents": [agent.account for agent in settings.agents],
        "menu": account.menu,
        "frozen": account.frozen,
        "banned": account.banned,
    }


def user_view(world: World, account: Account, chat: Conversation) -> dict[str, Any]:
    """One user of one account, with what may still be sent to them."""
    now = world.clock.now()
    return {
        "account": account.settings.id,
        "openid": chat.openid,
        "name": chat.name,
        "subscribed": chat.subscribed,
        "blacklisted": chat.blacklisted,
        "refusing": chat.refusing,
        "minor": chat.minor,
        "agent": chat.agent or account.kf.servicer(chat.openid),
        "typing_for": max(0.0, round(chat.typing_until - now, 1)),
        "quota": quota.allowance(chat.window, now, world.settings.quota),
    }


def stats(world: World) -> dict[str, Any]:
    """Counts since the start or the last reset."""
    chats = [chat for account in world.accounts.values() for chat in account.conversations.values()]
    errcodes = Counter(str(call.errcode) for call in world.calls)
    return {
        "now": world.clock.now(),
        "in_flight": world.pusher.in_flight,
        "deliveries": dict(world.pusher.outcomes),
        "delivery_ms": quantiles(world.pusher.latencies),
        "shown": dict(world.shown),
        "calls": len(world.calls),
        "errcodes": dict(errcodes),
        "users": len(chats),
        "entries": sum(len(chat.entries) for chat in chats),
    }


def quantiles(values: Iterable[float]) -> dict[str, float]:
    """p50, p90, p99 and the largest; empty for no values."""
    ordered = sorted(values)
    last = len(ordered) - 1
    if last < 0:
        return {}
    return {name: ordered[min(int(len(ordered) * q), last)] for name, q in QUANTILES.items()}
