"""The configuration: one TOML file for all services, read once; the only reader of the environment.

The whole schema stands here. Unknown keys are refused and all errors are reported at once, each by
its key path. `${NAME}` takes a value from the environment and `${file:/path}` from a mounted
secret. A `Secret` is looked up only when it is used, so that a service which does not need the
AppSecret need not be given it.
"""

import os
import re
import ssl
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, field

from queqiao_common.errors import SettingsError

T = TypeVar("T")

REFERENCE = re.compile(r"\$\{(file:)?([^}]+)\}")
Seconds = Annotated[float, Meta(ge=0)]
Name = Annotated[str, Meta(pattern="^[a-z0-9_-]+$")]


class Secret:
    """A value that is never printed, and looked up only when a service uses it."""

    __slots__ = ("_environ", "_text")

    def __init__(self, text: str = "", environ: Mapping[str, str] | None = None) -> None:
        self._text = text
        self._environ = os.environ if environ is None else environ

    def __repr__(self) -> str:
        return "Secret(***)" if self._text else "Secret()"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        """Return the value itself.

        Raises:
            SettingsError: the variable or file that the configuration names is missing.
        """
        return expand(self._text, self._environ)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replace `${NAME}` and `${file:/path}` in a configured value.

    Raises:
        SettingsError: naming the variable or file that is missing.
    """

    def one(match: re.Match[str]) -> str:
        if match[1]:
            try:
                return Path(match[2]).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingsError((f"file {match[2]} cannot be read",)) from error
        if match[2] not in environ:
            raise SettingsError((f"environment variable {match[2]} is not set",))
        return environ[match[2]]

    return REFERENCE.sub(one, text)


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file."""


class Tls(Section, frozen=True, kw_only=True):
    """TLS towards the broker; file paths in PEM."""

    ca: str = ""
    cert: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """Return the context that these files describe."""
        context = ssl.create_default_context(cafile=self.ca or None)
        if self.cert:
            context.load_cert_chain(self.cert, self.key or None)
        return context


class Nats(Section, frozen=True, kw_only=True):
    """`[nats]`: the broker."""

    url: Annotated[str, Meta(description="`QUEQIAO_NATS_URL` wins; several, with commas")] = (
        "nats://127.0.0.1:4222"
    )
    user: str = ""
    password: Secret = field(default_factory=Secret)
    creds: Annotated[str, Meta(description="path of a credentials file")] = ""
    nkey_seed_file: Annotated[str, Meta(description="path of an nkey seed")] = ""
    tls: Tls | None = None
    replicas: Annotated[int, Meta(ge=1, le=5, description="of each stream; 3 in production")] = 1
    stream_bytes: Annotated[
        float, Meta(gt=0, description="scales the default size limit of every stream")
    ] = 1.0
    apply_topology: Annotated[
        bool, Meta(description="services create what is missing at start; off: a job does")
    ] = True


class Account(Section, frozen=True, kw_only=True):
    """One `[[accounts]]` entry: a WeChat account. Durations are seconds."""

    id: Annotated[str, Meta(pattern="^[a-z0-9_-]+$", description="the path: /wechat/<id>")]
    kind: Literal["subscription", "service"] = "service"
    appid: str
    token: Annotated[Secret, Meta(description="signs callbacks")]
    secret: Annotated[Secret, Meta(description="the AppSecret; only egress needs it")] = field(
        default_factory=Secret
    )
    aes_key: Annotated[
        Secret, Meta(description="with it, safe mode is required and replies are encrypted")
    ] = field(default_factory=Secret)
    previous_aes_key: Annotated[Secret, Meta(description="accepted while keys are changed")] = (
        field(default_factory=Secret)
    )
    delivery: Annotated[
        Literal["", "passive", "active", "auto"],
        Meta(description="empty: auto for service accounts, passive for subscription accounts"),
    ] = ""
    passive_window: Annotated[
        float, Meta(gt=0, le=4.9, description="how long a callback is held open for a reply")
    ] = 4.5
    api_base: str = "https://api.weixin.qq.com"
    persona: Name = "assistant"
    welcome: Annotated[str, Meta(description="said to a new follower; empty: nothing")] = (
        "你好，欢迎关注！有什么想问的，直接发给我就好。"
    )

    @property
    def mode(self) -> Literal["passive", "active", "auto"]:
        """How replies leave: as configured, or what the kind of account can do."""
        if self.delivery:
            return self.delivery
        return "auto" if self.kind == "service" else "passive"


class Kserve(Section, frozen=True, kw_only=True):
    """`[models.kserve]`: the tensors of a model behind the protocol `kserve`.

    The defaults suit vLLM behind Triton. For other servers, leave out what they do not know.
    """

    template: Annotated[
        Literal["chatml", "messages"],
        Meta(description="what the prompt becomes: ChatML text, or JSON as in the OpenAI protocol"),
    ] = "chatml"
    streaming: Annotated[
        bool, Meta(description="ask by ModelStreamInfer; false: by ModelInfer, for a whole answer")
    ] = True
    input: Annotated[str, Meta(min_length=1, description="tensor of the prompt")] = "text_input"
    output: Annotated[
        str, Meta(description="tensor of the answer; a server's only text tensor is it anyway")
    ] = "text_output"
    stream_input: Annotated[
        str, Meta(description="BOOL tensor that asks for a stream; empty: none is sent")
    ] = "stream"
    sampling_input: Annotated[
        str,
        Meta(description="tensor of temperature, max_tokens and stop as JSON; empty: none is sent"),
    ] = "sampling_parameters"
    batched: Annotated[
        bool, Meta(description="tensors have the shape [1, 1] instead of [1]: the model batches")
    ] = False
    content_type: Annotated[
        str, Meta(description="of the prompt's tensor; MLServer's codecs want `str`")
    ] = ""


class Model(Section, frozen=True, kw_only=True):
    """One `[[models]]` entry. Durations are seconds."""

    id: Annotated[str, Meta(pattern="^[a-z0-9_-]+$", description="the name that routes use")]
    protocol: Annotated[
        Literal["openai", "kserve", "spark", "realtime"],
        Meta(
            description="OpenAI chat (REST, SSE), KServe (gRPC: Triton, MLServer), "
            "iFlytek Spark (WebSocket), OpenAI Realtime (WebSocket)"
        ),
    ] = "openai"
    base_url: Annotated[
        str,
        Meta(
            description="openai: `https://host/v1`; kserve: `grpcs://host:port`; spark: "
            "`wss://host/v3.5/chat`; realtime: `wss://host/v1`; without the `s`: no TLS"
        ),
    ]
    model: Annotated[str, Meta(description="the name the endpoint knows it by; spark: the domain")]
    api_key: Secret = field(default_factory=Secret)
    api_secret: Annotated[Secret, Meta(description="spark alone: signs the address")] = field(
        default_factory=Secret
    )
    app_id: Annotated[str, Meta(description="spark alone: the application's id")] = ""
    kserve: Kserve = field(default_factory=Kserve)
    timeout: Annotated[float, Meta(gt=0, description="for the whole answer")] = 30.0
    first_token_timeout: Annotated[float, Meta(gt=0)] = 10.0
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    retries: Annotated[int, Meta(ge=0, le=5, description="on the same model, before any text")] = 1
    breaker_failures: Annotated[
        int, Meta(ge=1, description="failures in a row that open the circuit")
    ] = 5
    breaker_pause: Annotated[
        float, Meta(gt=0, description="how long it stays open before one trial")
    ] = 15.0


class Persona(Section, frozen=True, kw_only=True):
    """One `[personas.<name>]` table: who answers."""

    prompt: str = "你是一个乐于助人的助手。"
    route: Name = "default"
    cache: Annotated[
        bool, Meta(description="false: answers are never shared, as where they use tools")
    ] = True


class ContextSettings(Section, frozen=True, kw_only=True):
    """`[context]`: what a conversation remembers, and how long a turn may take."""

    max_messages: Annotated[int, Meta(ge=0, description="of history before the model")] = 10
    max_tokens: Annotated[int, Meta(ge=100, description="of the whole prompt, estimated")] = 3000
    session_ttl: Annotated[float, Meta(gt=0, description="silence that ends a session")] = 86_400.0
    turn_timeout: Annotated[
        float, Meta(gt=0, description="from the question to the apology, if no answer comes")
    ] = 60.0
    max_queued: Annotated[
        int, Meta(ge=1, description="messages that may wait behind a turn in flight")
    ] = 20
    reset_words: tuple[str, ...] = ("重置", "清空记忆", "/reset", "/new")
    fetch_words: Annotated[
        tuple[str, ...], Meta(description="collect a parked reply and are no question")
    ] = ("1", "继续", "?", "？")
    reset_text: str = "好的，我们重新开始。"
    apology: Annotated[str, Meta(description="when no model could answer in time")] = (
        "抱歉，我这会儿没能答上来，请稍后再试一次。"
    )
    unsupported: Annotated[str, Meta(description="for message types not served yet")] = (
        "暂时还看不懂这种消息，请用文字告诉我吧。"
    )
    busy: Annotated[str, Meta(description="when too many messages wait, or a limit is hit")] = (
        "消息有点多，我还在回答前面的问题，请稍等一下再发。"
    )


class WordList(Section, frozen=True, kw_only=True):
    """One `[[moderation.lists]]` entry."""

    name: Name
    action: Literal["block", "mask"] = "block"
    words: tuple[str, ...] = ()
    file: Annotated[str, Meta(description="one word a line; `#` begins a comment")] = ""
    directions: tuple[Literal["in", "out"], ...] = ("in", "out")


class Moderation(Section, frozen=True, kw_only=True):
    """`[moderation]`: the same policy for what users and models say."""

    lists: tuple[WordList, ...] = ()
    allow: Annotated[tuple[str, ...], Meta(description="never hits, though a list has it")] = ()
    mask: Annotated[str, Meta(min_length=1, max_length=1)] = "*"
    blocked_input: str = "这个话题我不方便聊，换个问题试试吧。"
    blocked_output: str = "这部分内容不便展示，换个问题试试吧。"
    throttled: str = "你发得太快啦，请稍等片刻再继续。"
    messages_per_minute: Annotated[int, Meta(ge=0, description="of one user; 0: no limit")] = 30


class Delivery(Section, frozen=True, kw_only=True):
    """`[delivery]`: how replies leave. Sizes are bytes of UTF-8."""

    max_bytes: Annotated[
        int, Meta(ge=200, le=2048, description="of one message; WeChat takes 2,048")
    ] = 2000
    markdown: Annotated[bool, Meta(description="false: convert to what a chat can show")] = False
    label: Annotated[
        str, Meta(description="marks AI text where the API's own mark is not available")
    ] = "（AI 生成）"
    label_by_api: Annotated[
        bool, Meta(description="mark customer-service messages by `aimsgcontext`")
    ] = True
    typing: Annotated[
        bool, Meta(description="show 对方正在输入 while a late answer is written")
    ] = True
    quota: Annotated[int, Meta(ge=1, description="API messages after a user's message")] = 5
    quota_window: Annotated[float, Meta(gt=0)] = 172_800.0
    event_quota: Annotated[int, Meta(ge=1, description="after a menu click, follow or scan")] = 3
    event_quota_window: Annotated[float, Meta(gt=0)] = 60.0
    ambiguous: Annotated[
        Literal["resend", "drop"],
        Meta(description="a part whose sender died during the call: say it again, or not"),
    ] = "resend"
    thinking: Annotated[str, Meta(description="when a passive-only account's last window ends")] = (
        "我还在想，请稍等几秒，回复「1」查看答案。"
    )
    more: Annotated[str, Meta(description="ends a passive reply when more is waiting")] = (
        "（未完，回复「1」继续）"
    )
    cut: Annotated[str, Meta(description="ends the last message when the quota is too small")] = (
        "（内容较长，后面的没有发完，回复任意内容可继续提问）"
    )


class IngressSettings(Section, frozen=True, kw_only=True):
    """`[ingress]`: the public door. Sizes are bytes."""

    max_body: Annotated[int, Meta(ge=1024)] = 65_536
    publish_timeout: Annotated[
        float, Meta(gt=0, le=4, description="before the callback is answered 503")
    ] = 0.9
    max_waiting: Annotated[
        int, Meta(ge=1, description="callbacks held open by one replica; above it: busy text")
    ] = 5000
    body_timeout: Annotated[float, Meta(gt=0, description="for a slow body")] = 3.0
    busy: str = "现在咨询的人有点多，请稍后再发一次。"


class LlmSettings(Section, frozen=True, kw_only=True):
    """`[llm]`: how answers are cut."""

    segment_bytes: Annotated[
        int, Meta(ge=1, description="a piece is closed at the first paragraph end after this")
    ] = 600
    concurrency: Annotated[int, Meta(ge=1, description="turns at once in one replica")] = 64


class Cache(Section, frozen=True, kw_only=True):
    """`[cache]`: answers to frequent, context-free questions. Scores go from 0 to 1."""

    enabled: bool = True
    ttl: Annotated[
        float, Meta(gt=0, le=2_592_000, description="of an answer that is not pinned")
    ] = 86_400.0
    max_answers: Annotated[
        int, Meta(ge=1, description="that are not pinned; the least used makes room")
    ] = 10_000
    near: Annotated[
        float,
        Meta(ge=0, le=1, description="least score of the same question in other words"),
    ] = 0.6
    offer: Annotated[
        float, Meta(ge=0, le=1, description="least score of a question that may be meant")
    ] = 0.18
    degraded: Annotated[
        float,
        Meta(ge=0, le=1, description="least score of the answer given when no model can answer"),
    ] = 0.5
    menu: Annotated[
        Literal["curated", "all", "off"],
        Meta(description="offer what operators pinned, wrote or warmed; or all that was asked"),
    ] = "curated"
    menu_title: str = "您是不是想问："
    menu_hint: str = "回复数字即可；都不是请回复 0。"
    degraded_note: Annotated[
        str, Meta(description="said before such an answer; `{question}` is what it answers")
    ] = "现在暂时无法生成新的回答，下面是「{question}」的回答，供参考："
    wait: Annotated[
        float, Meta(ge=0, description="for another user's same question, at most half the time")
    ] = 20.0
    synonyms: Annotated[
        tuple[tuple[str, ...], ...],
        Meta(description="words of your trade that mean the same, beside the built-in ones"),
    ] = ()


class Privacy(Section, frozen=True, kw_only=True):
    """`[privacy]`."""

    pepper: Annotated[
        Secret, Meta(description="keys the hash of a user; empty: the account's callback token")
    ] = field(default_factory=Secret)


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
    context: ContextSettings = field(default_factory=ContextSettings)
    moderation: Moderation = field(default_factory=Moderation)
    delivery: Delivery = field(default_factory=Delivery)
    ingress: IngressSettings = field(default_factory=IngressSettings)
    llm: LlmSettings = field(default_factory=LlmSettings)
    cache: Cache = field(default_factory=Cache)
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
    ),
    "moderation": (),
    "context": (),
    "llm": ("models.api_key", "models.api_secret"),
    "egress": ("accounts.secret",),
}
"""The secrets that each service is given; the others may be absent from its environment."""


def load(
    path: Path, environ: Mapping[str, str] | None = None, *, needs: tuple[str, ...] = ()
) -> Config:
    """Read the configuration file.

    `needs` are the secrets that this process will use (`accounts.secret`): they must be there.

    Raises:
        SettingsError: with every problem of the file, each by its key path.
    """
    env = os.environ if environ is None else environ
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(("no such file (QUEQIAO_CONFIG names it)",), source=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError((f"cannot be read: {error}",), source=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError((f"not TOML: {error}",), source=str(path)) from None
    return parse(table, env, needs=needs, source=str(path))


def parse(
    table: dict[str, Any],
    environ: Mapping[str, str],
    *,
    needs: tuple[str, ...] = (),
    source: str = "",
) -> Config:
    """Turn a parsed file into a `Config`; `QUEQIAO_NATS_URL` wins over `nats.url`.

    Raises:
        SettingsError: as `load`.
    """
    if url := environ.get("QUEQIAO_NATS_URL"):
        nats = table.get("nats", {})
        table = {**table, "nats": {**nats, "url": url} if isinstance(nats, dict) else nats}
    problems: list[str] = []
    config = _build(Config, table, "", environ, problems)
    if isinstance(config, Config):
        problems += _cross_checks(config)
        problems += _missing_secrets(config, needs)
    if problems:
        raise SettingsError(tuple(problems), source=source)
    return typing.cast("Config", config)


def _build(
    kind: Any, value: Any, path: str, environ: Mapping[str, str], problems: list[str]
) -> Any:
    """Convert one value, noting every problem below it instead of stopping at the first."""
    kind = _unwrapped(kind)
    if kind is Secret:
        if isinstance(value, str):
            return Secret(value, environ)
        problems.append(f"{path}: expected text")
        return Secret()
    if isinstance(kind, type) and issubclass(kind, Section):
        return _build_section(kind, value, path, environ, problems)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple and isinstance(value, list) and _holds_section(arguments[0]):
        return tuple(
            _build(arguments[0], item, f"{path}[{_label(item, index)}]", environ, problems)
            for index, item in enumerate(value)
        )
    if origin is dict and isinstance(value, dict) and _holds_section(arguments[1]):
        return {
            key: _build(arguments[1], item, f"{path}.{key}", environ, problems)
            for key, item in value.items()
        }
    return _convert(kind, value, path, environ, problems)


def _build_section(
    kind: type[Section], value: Any, path: str, environ: Mapping[str, str], problems: list[str]
) -> Section | None:
    if not isinstance(value, dict):
        problems.append(f"{path}: expected a table")
        return None
    before = len(problems)
    hints = typing.get_type_hints(kind, include_extras=True)
    built: dict[str, Any] = {}
    for key, item in value.items():
        at = f"{path}.{key}" if path else key
        if key not in hints:
            problems.append(f"{at}: unknown key{_suggestion(key, hints)}")
        else:
            built[key] = _build(hints[key], item, at, environ, problems)
    problems.extend(
        f"{path}.{info.name}: required".lstrip(".")
        for info in msgspec.structs.fields(kind)
        if info.required and info.name not in value
    )
    return kind(**built) if len(problems) == before else None


def _convert(
    kind: Any, value: Any, path: str, environ: Mapping[str, str], problems: list[str]
) -> Any:
    try:
        return msgspec.convert(_expanded(value, environ), kind)
    except SettingsError as error:
        problems.extend(f"{path}: {problem}" for problem in error.problems)
    except msgspec.ValidationError as error:
        problems.append(f"{path}: {str(error)[:1].lower()}{str(error)[1:]}")
    return None


def _expanded(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return expand(value, environ)
    if isinstance(value, list):
        return [_expanded(item, environ) for item in value]
    if isinstance(value, dict):
        return {key: _expanded(item, environ) for key, item in value.items()}
    return value


def _unwrapped(kind: Any) -> Any:
    """Look through `Annotated[Secret, ...]` and `Section | None`."""
    if get_origin(kind) is Annotated and get_args(kind)[0] is Secret:
        return Secret
    if get_origin(kind) in {Union, types.UnionType}:
        for option in get_args(kind):
            if _holds_section(option):
                return option
    return kind


def _holds_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _label(item: Any, index: int) -> str:
    """Name an entry of an array by its id, as an operator thinks of it."""
    if isinstance(item, dict):
        for key in ("id", "name"):
            if isinstance(item.get(key), str):
                return str(item[key])
    return str(index)


def _suggestion(key: str, known: Mapping[str, Any]) -> str:
    import difflib

    close = difflib.get_close_matches(key, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _cross_checks(config: Config) -> Iterator[str]:
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
    for account in config.accounts:
        if account.persona not in config.personas and account.persona != "assistant":
            yield f"accounts[{account.id}].persona: no persona is called {account.persona!r}"
        if account.kind == "subscription" and account.delivery in {"active", "auto"}:
            yield (
                f"accounts[{account.id}].delivery: a subscription account can only reply "
                f"passively, so {account.delivery!r} would never arrive"
            )


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
    if model.protocol == "spark":
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


def _missing_secrets(config: Config, needs: tuple[str, ...]) -> Iterator[str]:
    for need in needs:
        section, _, name = need.partition(".")
        entries = getattr(config, section)
        for entry in entries if isinstance(entries, tuple) else (entries,):
            at = f"{section}[{entry.id}].{name}" if isinstance(entries, tuple) else need
            try:
                getattr(entry, name).reveal()
            except SettingsError as error:
                yield from (f"{at}: {problem}" for problem in error.problems)


def environment(name: str, default: str = "") -> str:
    """Return one of our own variables (`QUEQIAO_...`)."""
    return os.environ.get(name, default)
