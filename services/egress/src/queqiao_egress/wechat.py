"""The way to WeChat's API: one client per account, with the account's own token."""

from collections.abc import Callable, Iterable

import httpx
from queqiao_common.kv import Documents
from queqiao_common.settings import Account
from queqiao_wechat.client import Token, WeChatClient, fetch_stable_token

from queqiao_egress.tokens import Held, Tokens

TIMEOUT = httpx.Timeout(7.0, connect=3.0)
LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=64, keepalive_expiry=30.0)


def open_http() -> httpx.AsyncClient:
    """Return the connections to WeChat that all accounts share."""
    return httpx.AsyncClient(timeout=TIMEOUT, limits=LIMITS)


def clients(
    accounts: Iterable[Account],
    http: httpx.AsyncClient,
    *,
    tokens: Documents[Held],
    owner: str,
    now_ms: Callable[[], int],
) -> dict[str, WeChatClient]:
    """Return a client for each account that may send by API.

    Raises:
        SettingsError: an AppSecret that the configuration names is missing.
    """
    return {
        account.id: _client(account, http, tokens, owner=owner, now_ms=now_ms)
        for account in accounts
        if account.mode != "passive"
    }


def _client(
    account: Account,
    http: httpx.AsyncClient,
    bucket: Documents[Held],
    *,
    owner: str,
    now_ms: Callable[[], int],
) -> WeChatClient:
    secret = account.secret.reveal()

    async def fetch(*, force: bool) -> Token:
        return await fetch_stable_token(
            http, api_base=account.api, appid=account.appid, secret=secret, force=force
        )

    source = Tokens(bucket, account=account.id, fetch=fetch, owner=owner, now_ms=now_ms)
    return WeChatClient(
        http, api_base=account.api, appid=account.appid, secret=secret, tokens=source
    )
