"""The channels of the configured accounts: which kind is which, and with what it calls."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import httpx
from queqiao_common.kv import Documents
from queqiao_common.settings import Account, Config
from queqiao_wechat import media
from queqiao_wechat.client import Api, Token, WeChatClient, fetch_stable_token
from queqiao_wechat.errcodes import WECOM
from queqiao_wechat.kf_client import KfClient
from queqiao_wechat.wecom_client import WeComClient, fetch_wecom_token

from queqiao_egress.channels import miniprogram
from queqiao_egress.channels.bot import Bot
from queqiao_egress.channels.kf import Kf
from queqiao_egress.channels.miniprogram import MiniProgram
from queqiao_egress.channels.official import Official, PassiveOnly
from queqiao_egress.channels.port import Channel
from queqiao_egress.channels.wecom import WeCom
from queqiao_egress.patience import patient
from queqiao_egress.tokens import Fetch, Held, Tokens

TIMEOUT = httpx.Timeout(7.0, connect=3.0)
LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=64, keepalive_expiry=30.0)


def open_http() -> httpx.AsyncClient:
    """Return the connections to WeChat that all accounts share."""
    return patient(httpx.AsyncClient(timeout=TIMEOUT, limits=LIMITS, follow_redirects=False))


class Builder:
    """Builds channels; every account has a token of its own."""

    def __init__(
        self,
        config: Config,
        http: httpx.AsyncClient,
        *,
        tokens: Documents[Held],
        owner: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._config = config
        self._http = http
        self._tokens = tokens
        self._owner = owner
        self._now_ms = now_ms
        self._kf_clients: dict[str, KfClient] = {}

    def channels(self, accounts: Iterable[Account]) -> dict[str, Channel]:
        """Return the channel of each account.

        Raises:
            SettingsError: a secret that the configuration names is missing.
        """
        return {account.id: KINDS[account.kind](self, account) for account in accounts}

    def _source(self, account: Account, fetch: Fetch) -> Tokens:
        return Tokens(
            self._tokens,
            account=account.id,
            fetch=fetch,
            owner=self._owner,
            now_ms=self._now_ms,
        )

    def wechat_tokens(self, account: Account) -> Tokens:
        """Return the stable token of an official account or a Mini Program."""
        fetch = partial(
            fetch_stable_token,
            self._http,
            api_base=account.api,
            appid=account.appid,
            secret=account.secret.reveal(),
        )
        return self._source(account, fetch)

    def wecom_api(self, account: Account) -> Api:
        """Return WeCom's API with the token of one app's secret."""
        secret = account.secret.reveal()

        async def fetch(*, force: bool) -> Token:
            del force  # WeCom replaces a token by itself
            return await fetch_wecom_token(
                self._http, api_base=account.api, corpid=account.appid, secret=secret
            )

        return Api(
            self._http, api_base=account.api, tokens=self._source(account, fetch), codes=WECOM
        )

    def wechat_client(self, account: Account, **options: str) -> WeChatClient:
        """Return a client of customer-service messages."""
        return WeChatClient(
            self._http,
            api_base=account.api,
            appid=account.appid,
            secret=account.secret.reveal(),
            tokens=self.wechat_tokens(account),
            **options,
        )

    def official(self, account: Account) -> Channel:
        """Return the channel of an official account: by what it may do."""
        if account.mode != "passive":
            client = self.wechat_client(account)
            return Official(account, client, self._http, self._config.delivery).channel()
        tokens = self.wechat_tokens(account) if account.secret else None
        api = Api(self._http, api_base=account.api, tokens=tokens) if tokens else None
        return PassiveOnly(account, api, self._http).channel()

    def miniprogram(self, account: Account) -> Channel:
        """Return the channel of a Mini Program."""
        client = self.wechat_client(account, typing_path=miniprogram.TYPING)
        return MiniProgram(account, client, self._http, self._config.delivery).channel()

    def wecom(self, account: Account) -> Channel:
        """Return the channel of an own app of WeCom."""
        client = WeComClient(self.wecom_api(account), agent_id=account.agent_id)
        return WeCom(account, client, self._http).channel()

    def kf_clients(self, accounts: Iterable[Account]) -> dict[str, KfClient]:
        """Return what pulls the messages of each account that has to be pulled."""
        return {
            account.id: self.kf_client(account)
            for account in accounts
            if KINDS[account.kind] is Builder.kf
        }

    def kf_client(self, account: Account) -> KfClient:
        """Return the one client of an account of WeChat Customer Service."""
        if account.id not in self._kf_clients:
            self._kf_clients[account.id] = KfClient(self.wecom_api(account))
        return self._kf_clients[account.id]

    def kf(self, account: Account) -> Channel:
        """Return the channel of WeChat Customer Service."""
        client = self.kf_client(account)
        return Kf(account, client, self._http, self._config.delivery, now_ms=self._now_ms).channel()

    def bot(self, account: Account) -> Channel:
        """Return the channel of an AI bot."""
        open_file = media.opener(account.aes_key.reveal())
        return Bot(self._http, api_base=account.api, open_file=open_file).channel()


KINDS: Mapping[str, Callable[[Builder, Account], Channel]] = {
    "subscription": Builder.official,
    "service": Builder.official,
    "miniprogram": Builder.miniprogram,
    "wecom": Builder.wecom,
    "wecom_kf": Builder.kf,
    "wecom_bot": Builder.bot,
}
"""The channel of each kind of account."""
