"""What the simulator may be told: one TOML file, every number of the platform in it."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from queqiao_simulator.rules import (
    BotRules,
    ContentRules,
    DailyRules,
    KfRules,
    MediaRules,
    WeComRules,
)

Kind = Literal["service", "subscription", "miniprogram", "wecom", "wecom_kf", "wecom_bot"]
"""In the protocol reference: oa_service, oa_sub, mp, wecom_app, wecom_kf, wecom_aibot."""

Mode = Literal["plain", "safe", "compat"]
Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]


class Agent(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A person who takes over a conversation: `kf01@demo`, or a WeCom member."""

    account: Annotated[str, Meta(min_length=1)]
    name: str = ""
    greeting: Annotated[str, Meta(description="said when a session begins; empty: nothing")] = ""


class AccountSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One account, as its owner would see it in the platform's console."""

    id: Annotated[str, Meta(pattern="^[a-z0-9_-]+$", description="the name tests use")]
    appid: Annotated[str, Meta(description="WeCom: the CorpID; an AI bot: the aibotid")]
    token: Annotated[str, Meta(min_length=3, max_length=32, description="signs callbacks")]
    callbacks: Annotated[tuple[str, ...], Meta(description="replicas; deliveries rotate")] = ()
    name: str = ""
    kind: Kind = "service"
    secret: str = ""
    aes_key: Annotated[str, Meta(description="EncodingAESKey, 43 characters")] = ""
    previous_aes_key: Annotated[str, Meta(description="the fault old_key encrypts with it")] = ""
    mode: Annotated[Mode, Meta(description="WeCom always encrypts, whatever this says")] = "plain"
    format: Annotated[
        Literal["xml", "json"], Meta(description="of a Mini Program's pushes; a bot's are JSON")
    ] = "xml"
    agent_id: Annotated[int, Meta(description="AgentID of a WeCom app")] = 1000002
    open_kfid: Annotated[str, Meta(description="wk…; empty: derived from the id")] = ""
    agents: Annotated[tuple[Agent, ...], Meta(description="who may take over")] = ()
    templates: Annotated[tuple[str, ...], Meta(description="ids; empty: every id exists")] = ()
    original_id: Annotated[str, Meta(description="gh_…; empty: derived from the appid")] = ""
    verified: Annotated[bool | None, Meta(description="unset: service accounts are")] = None
    ip_allowlist: Annotated[tuple[str, ...], Meta(description="empty: every address")] = ()

    @property
    def title(self) -> str:
        """The name people read."""
        return self.name or self.id

    @property
    def gh_id(self) -> str:
        """Whom pushes name as their receiver: `gh_` and 12 characters, or the CorpID."""
        if self.is_wecom:
            return self.appid
        return self.original_id or "gh_" + self.appid[-12:].rjust(12, "0")

    @property
    def may_send(self) -> bool:
        """Whether the account may send when nobody has asked just now (48001 otherwise)."""
        return self.kind != "subscription" if self.verified is None else self.verified

    @property
    def is_wecom(self) -> bool:
        """Whether the account is one of WeCom's."""
        return self.kind.startswith("wecom")

    @property
    def is_official(self) -> bool:
        """Whether the account is an Official Account, which users follow and leave."""
        return self.kind in ("service", "subscription")

    @property
    def sealing(self) -> Mode:
        """How pushes leave: the account's mode; WeCom knows only one."""
        return "safe" if self.is_wecom else self.mode

    @property
    def receive_id(self) -> str:
        """Whose name stands at the end of every ciphertext; nobody's for an AI bot."""
        return "" if self.kind == "wecom_bot" else self.appid

    @property
    def kfid(self) -> str:
        """The open_kfid of a customer-service account."""
        return self.open_kfid or f"wk_{self.id}"


class PushRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the platform delivers to a callback (protocol reference 4.1, 13)."""

    answer_timeout: Seconds = 5.0
    reuse_nonce: Annotated[bool, Meta(description="one timestamp and nonce per push")] = False
    connect_timeout: Seconds = 5.0
    deliveries: Annotated[int, Meta(ge=1, le=4, description="of one message, in total")] = 3
    retry_refused: bool = True
    refused_pause: Annotated[float, Meta(ge=0, description="before that retry")] = 1.0
    retry_server_errors: Annotated[bool, Meta(description="HTTP 5xx, as a timeout")] = True
    server_error_pause: Seconds = 0.0
    retry_invalid: Annotated[bool, Meta(description="malformed, or HTTP 3xx and 4xx")] = False
    max_in_flight: Annotated[int, Meta(ge=1)] = 1000
    error_text: str = "该公众号提供的服务出现故障，请稍后再试"
    mark_fail: Annotated[int, Meta(ge=0, description="failures that suspend; 0: never")] = 0
    mark_fail_window: Seconds = 60.0
    mark_fail_pause: Seconds = 60.0


class TokenRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Access tokens (protocol reference 5.1). The stable family may force a renewal by day."""

    lifetime: Seconds = 7200.0
    overlap: Annotated[float, Meta(ge=0, description="an old token lives on")] = 300.0
    forced_per_day: Count = 20
    forced_apart: Seconds = 30.0
    plain_per_day: Count = 2000
    stable_per_minute: Count = 10_000


class QuotaRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a user's action allows the account to send (protocol reference 6.1)."""

    message_count: Count = 5
    message_window: Seconds = 48 * 3600.0
    event_count: Count = 3
    event_window: Seconds = 60.0
    enter_count: Annotated[int, Meta(ge=0, description="on entering a Mini Program's chat")] = 2


class SendRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a customer-service call must obey (protocol reference 6.2, 6.3)."""

    text_limit_bytes: Count = 2048
    refuse_escapes: Annotated[bool, Meta(description="40033 for escaped non-ASCII")] = True
    typing_shown: Seconds = 15.0
    typing_after: Annotated[float, Meta(ge=0, description="since the last interaction")] = 30.0
    clears_per_month: Count = 10
    agent_session: Annotated[float, Meta(ge=0, description="a silent person's session ends")] = (
        1800.0
    )
    finish_delay: Annotated[float, Meta(ge=0, description="until a template's finish event")] = 0.1
    forbidden_words: Annotated[tuple[str, ...], Meta(description="in notices: 45168")] = ()


class PageSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the chat page says around the phone."""

    notice: Annotated[str, Meta(description="the banner; empty: none")] = ""
    notice_en: Annotated[str, Meta(description="the same in English; empty: as it is")] = ""


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much the simulator remembers; the oldest is forgotten first."""

    entries: Count = 200_000
    pushes: Count = 100_000
    calls: Count = 20_000


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    accounts: tuple[AccountSettings, ...]
    users: Annotated[tuple[str, ...], Meta(description="names")] = ("小鹊", "阿桥", "小明")
    push: PushRules = PushRules()
    tokens: TokenRules = TokenRules()
    quota: QuotaRules = QuotaRules()
    send: SendRules = SendRules()
    media: MediaRules = MediaRules()
    content: ContentRules = ContentRules()
    wecom: WeComRules = WeComRules()
    kf: KfRules = KfRules()
    bot: BotRules = BotRules()
    daily: DailyRules = DailyRules()
    public_url: Annotated[
        str, Meta(description="where bots reach the simulator; empty: as the control API was")
    ] = ""
    page: PageSettings = PageSettings()
    limits: Limits = Limits()


def read(path: Path) -> Settings:
    """Read the configuration file.

    Raises:
        OSError: the file cannot be read.
        msgspec.DecodeError: it is not TOML, or a key is unknown, missing or out of range.
        ValueError: two accounts share an id or an appid, or a mode lacks its key.
    """
    settings = msgspec.toml.decode(path.read_bytes(), type=Settings)
    _check(settings.accounts)
    return settings


def _check(accounts: tuple[AccountSettings, ...]) -> None:
    _check_unique("id", [account.id for account in accounts])
    _check_unique("appid", [account.appid for account in accounts if not account.is_wecom])
    apps = [account for account in accounts if account.kind == "wecom"]
    _check_unique("appid and agent_id", [f"{one.appid}/{one.agent_id}" for one in apps])
    _check_unique("open_kfid", [one.kfid for one in accounts if one.kind == "wecom_kf"])
    for account in accounts:
        if account.sealing != "plain" and len(account.aes_key) != 43:
            what = account.kind if account.is_wecom else f"mode {account.mode}"
            raise ValueError(f"accounts.{account.id}: {what} needs a 43-character key")


def _check_unique(field: str, values: list[str]) -> None:
    if len(set(values)) < len(values):
        raise ValueError(f"accounts: `{field}` must be unique, got {', '.join(values)}")
