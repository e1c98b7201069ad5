"""The whole file, and what must hold between its sections."""

from collections.abc import Iterator, Mapping
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, field

from queqiao_common.settings.base import Section
from queqiao_common.settings.broker import Nats
from queqiao_common.settings.budgets import Budgets, budget_problems
from queqiao_common.settings.cache import Cache
from queqiao_common.settings.channel import Account, Delivery, IngressSettings
from queqiao_common.settings.conversation import ContextSettings, Notes, Persona
from queqiao_common.settings.knowledge import Knowledge
from queqiao_common.settings.media import Media
from queqiao_common.settings.models import LlmSettings, Model
from queqiao_common.settings.moderation import Moderation, Privacy
from queqiao_common.settings.pages import Pages
from queqiao_common.settings.rules import Handover, Rule, rule_problems
from queqiao_common.settings.tools import Tools


class Config(Section, frozen=True, kw_only=True):
    """The whole file."""

    nats: Nats = field(default_factory=Nats)
    accounts: tuple[Account, ...] = ()
    models: tuple[Model, ...] = ()
    routes: Annotated[
        dict[str, tuple[str, ...]],
        Meta(description="ids of models by name of the route: first choice, then fallbacks"),
    ] = field(default_factory=dict)
    personas: dict[str, Persona] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    handover: Handover = field(default_factory=Handover)
    context: ContextSettings = field(default_factory=ContextSettings)
    moderation: Moderation = field(default_factory=Moderation)
    delivery: Delivery = field(default_factory=Delivery)
    ingress: IngressSettings = field(default_factory=IngressSettings)
    llm: LlmSettings = field(default_factory=LlmSettings)
    cache: Cache = field(default_factory=Cache)
    knowledge: Knowledge = field(default_factory=Knowledge)
    tools: Tools = field(default_factory=Tools)
    budgets: Budgets = field(default_factory=Budgets)
    notes: Notes = field(default_factory=Notes)
    media: Media = field(default_factory=Media)
    pages: Pages = field(default_factory=Pages)
    privacy: Privacy = field(default_factory=Privacy)

    def account(self, account_id: str) -> Account | None:
        """Return the account with this id, if there is one."""
        return next((one for one in self.accounts if one.id == account_id), None)

    def persona(self, name: str) -> Persona:
        """Return a persona; `assistant` exists without being configured."""
        return self.personas.get(name) or Persona()

    def pepper(self, account: Account) -> str:
        """Return the key of the user hash for an account."""
        return self.privacy.pepper.reveal() or account.token.reveal()


SERVICE_SECRETS: Mapping[str, tuple[str, ...]] = {
    "ingress": (
        "accounts.token",
        "accounts.aes_key",
        "accounts.previous_aes_key",
        "privacy.pepper",
        "pages.key",
    ),
    "moderation": ("moderation.provider.api_key",),
    "context": (),
    "llm": (
        "models.api_key",
        "models.api_keys",
        "models.api_secret",
        "knowledge.qdrant_api_key",
        "tools.servers.env",
        "tools.servers.headers",
        "tools.servers.url",
    ),
    "egress": (
        "accounts.secret",
        "accounts[wecom_bot].aes_key",  # opens the files that its users send
        "accounts[wecom_kf].token",  # names users whose messages egress pulls, without a pepper
        "pages.key",
    ),
}
"""The secrets that each service is given; the others may be absent from its environment.

`accounts[<kind>].<name>` is needed of accounts of that kind alone. With an account of kind
`wecom_kf`, egress needs `privacy.pepper` as well, where there is one.
"""


def cross_checks(config: Config) -> Iterator[str]:
    """Name what no section can see by itself."""
    yield from _duplicates("accounts", [account.id for account in config.accounts])
    yield from _duplicates("models", [model.id for model in config.models])
    for model in config.models:
        yield from _model_problems(model)
    models = {model.id for model in config.models}
    for name, choices in config.routes.items():
        for choice in choices:
            if choice not in models:
                yield f"routes.{name}: no model has the id {choice!r}"
    for name, persona in config.personas.items():
        if config.routes and persona.route not in config.routes:
            yield f"personas.{name}.route: no route is called {persona.route!r}"
    yield from _knowledge_problems(config)
    for account in config.accounts:
        if account.persona not in config.personas and account.persona != "assistant":
            yield f"accounts[{account.id}].persona: no persona is called {account.persona!r}"
        yield from _account_problems(account)
    yield from _budget_problems(config)
    yield from rule_problems(
        config.rules,
        accounts={account.id for account in config.accounts},
        personas={*config.personas, "assistant"},
        can_hand_over=config.handover.enabled,
    )
    route = config.notes.summary_route
    if route and route not in config.routes:
        yield f"notes.summary_route: no route is called {route!r}"
    yield from _page_problems(config.pages)
    yield from _tool_problems(config)
    yield from _sound_problems(config)


def _knowledge_problems(config: Config) -> Iterator[str]:
    rules = config.knowledge
    if rules.embed:
        model = next((one for one in config.models if one.id == rules.embed), None)
        if model is None:
            yield f"knowledge.embed: no model has the id {rules.embed!r}"
        elif model.protocol != "openai":
            yield f"knowledge.embed: {rules.embed!r} has to speak the protocol 'openai'"
        elif not config.routes:
            yield "knowledge.embed: needs [routes], or turns would be given to that model too"
    if rules.qdrant_url and not all(_scheme_and_host(rules.qdrant_url)):
        yield "knowledge.qdrant_url: needs an address like https://host:6333"
    if 2 * rules.overlap_chars >= rules.chunk_chars:
        yield "knowledge.overlap_chars: must be less than half of chunk_chars"
    for name, persona in config.personas.items():
        if persona.knowledge_only and not persona.knowledge:
            yield f"personas.{name}.knowledge_only: it has no collections in `knowledge`"


def _budget_problems(config: Config) -> Iterator[str]:
    """Name who has a budget, but does not exist: it would silently limit nobody."""
    yield from budget_problems(config.budgets)
    yield from _duplicates("budgets.tiers", [tier.id for tier in config.budgets.tiers])
    accounts = {account.id for account in config.accounts}
    for tier in config.budgets.tiers:
        for one in sorted(set(tier.accounts) - accounts):
            yield f"budgets.tiers[{tier.id}].accounts: no account has the id {one!r}"
    for one in sorted(set(config.budgets.accounts) - accounts):
        yield f"budgets.accounts.{one}: no account has this id"
    for name in sorted(set(config.budgets.personas) - set(config.personas) - {"assistant"}):
        yield f"budgets.personas.{name}: no persona is called so"


CANNOT: Mapping[str, Mapping[str, str]] = {
    "subscription": {
        "active": "a subscription account can only reply passively",
        "auto": "a subscription account can only reply passively",
    },
    "miniprogram": {
        "passive": "a Mini Program takes no text in answer to a callback",
        "auto": "a Mini Program takes no text in answer to a callback",
    },
    "wecom_kf": {
        "passive": "WeChat Customer Service takes no answer to a callback",
        "auto": "WeChat Customer Service takes no answer to a callback",
    },
    "wecom_bot": {
        "passive": "an AI bot is answered by streaming",
        "active": "an AI bot is answered by streaming",
        "auto": "an AI bot is answered by streaming",
    },
}
"""The ways of delivery that a kind of account does not have, and why."""


def _account_problems(account: Account) -> Iterator[str]:
    at = f"accounts[{account.id}]"
    if reason := CANNOT.get(account.kind, {}).get(account.delivery):
        yield f"{at}.delivery: {reason}, so {account.delivery!r} would never arrive"
    if not account.appid and account.kind != "wecom_bot":
        yield f"{at}.appid: required"
    if account.is_wecom and not account.aes_key:
        yield f"{at}.aes_key: required, as WeCom sends nothing in the clear"
    if account.markdown and (account.kind, account.mode) != ("wecom", "active"):
        yield f"{at}.markdown: only kind 'wecom' with delivery = 'active' shows it"
    if account.kind == "wecom" and not account.agent_id:
        yield f"{at}.agent_id: required by kind 'wecom'"


def _page_problems(pages: Pages) -> Iterator[str]:
    addresses = {"pages.base_url": pages.base_url, "pages.assets.base_url": pages.assets.base_url}
    for path, address in addresses.items():
        scheme, host = _scheme_and_host(address)
        if address and (scheme not in ("http", "https") or not host):
            yield f"{path}: needs an address like https://host"
    if pages.base_url and not pages.key:
        yield "pages.key: required by pages.base_url"


def _tool_problems(config: Config) -> Iterator[str]:
    servers = {server.id for server in config.tools.servers}
    yield from _duplicates("tools.servers", [server.id for server in config.tools.servers])
    for server in config.tools.servers:
        if bool(server.command) == bool(server.url):
            yield f"tools.servers[{server.id}]: needs either `command` or `url`"
    for name, persona in config.personas.items():
        for tool in persona.tools:
            if tool.partition(".")[0] not in servers:
                yield f"personas.{name}.tools: no tool server has the id {tool.partition('.')[0]!r}"


def _sound_problems(config: Config) -> Iterator[str]:
    """Name the models of speech that are none, or speak a protocol that has no speech."""
    models = {model.id: model for model in config.models}
    for key, choice in (("transcribe", config.media.transcribe), ("speak", config.media.speak)):
        if not choice:
            continue
        if choice not in models:
            yield f"media.{key}: no model has the id {choice!r}"
        elif models[choice].protocol != "openai":
            yield f"media.{key}: model {choice!r} must speak the protocol 'openai'"


SCHEMES: Mapping[str, tuple[str, ...]] = {
    "openai": ("http", "https"),
    "kserve": ("grpc", "grpcs"),
    "spark": ("ws", "wss"),
    "realtime": ("ws", "wss"),
}
"""How the address of a model begins, by its protocol: without and with TLS."""


def _model_problems(model: Model) -> Iterator[str]:
    at, schemes = f"models[{model.id}]", SCHEMES[model.protocol]
    scheme, host = _scheme_and_host(model.base_url)
    if scheme not in schemes or not host:
        plain, secure = schemes
        yield (
            f"{at}.base_url: protocol {model.protocol!r} needs an address like "
            f"{secure}://host (or {plain}://host)"
        )
    if model.api_key and model.api_keys:
        yield f"{at}.api_keys: `api_key` is given too; name all keys here, or that one alone"
    if model.protocol == "spark":
        if model.api_keys:
            yield f"{at}.api_keys: protocol 'spark' needs `api_key` and `api_secret`"
        for name in ("app_id", "api_key", "api_secret"):
            if not getattr(model, name):
                yield f"{at}.{name}: required by protocol 'spark'"


def _scheme_and_host(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return "", ""
    return parts.scheme, parts.hostname or ""


def _duplicates(path: str, ids: list[str]) -> Iterator[str]:
    for one in sorted({one for one in ids if ids.count(one) > 1}):
        yield f"{path}[{one}].id: used more than once"
