"""The accounts on stage and the users who chat with them: state, nothing more."""

import base64
import hashlib
import itertools
import re
import secrets
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field
from queqiao_wechat.crypto import Cipher

from queqiao_simulator import tokens
from queqiao_simulator.allowlist import Confirmation
from queqiao_simulator.bots import BotDesk
from queqiao_simulator.kf import KfDesk
from queqiao_simulator.media import MediaStore
from queqiao_simulator.oauth import OAuth
from queqiao_simulator.quota import Window
from queqiao_simulator.refusals import Refused
from queqiao_simulator.scenes import Scenes
from queqiao_simulator.settings import AccountSettings, Settings
from queqiao_simulator.tokens import TokenBook
from queqiao_simulator.transcript import Entry, Push

OPENID = re.compile(r"o[A-Za-z0-9_-]{27}")
USERID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
DAILY_LIMIT = 45009


class UnknownError(LookupError):
    """The control API named something that does not exist."""


class Conversation(Struct, eq=False):
    """One user's chat with one account. Instants are Unix seconds of the platform's clock."""

    name: str
    openid: str
    subscribed: bool = False
    blacklisted: bool = False  # by the account: 43019
    refusing: bool = False  # the user refuses messages: 48002
    minor: bool = False  # 70000
    window: Window = Window()
    interacted_at: float = float("-inf")
    typing_until: float = float("-inf")
    subscribed_at: float = 0.0
    scene: str = ""  # of the QR code through which the user came to follow
    agent: str = ""  # the person who has taken over
    agent_heard_at: float = float("-inf")
    granted: Counter[str] = field(default_factory=Counter)  # subscription messages, by template
    received: deque[float] = field(default_factory=deque)  # a WeCom member's last minute
    entries: deque[Entry] = field(default_factory=deque)
    pushes: deque[Push] = field(default_factory=deque)


class Account:
    """One account: its settings, its tokens, its chats."""

    def __init__(self, settings: AccountSettings, rules: Settings) -> None:
        self.settings = settings
        self.callbacks = settings.callbacks
        self.cipher = _cipher(settings.aes_key, settings)
        self.previous_cipher = _cipher(settings.previous_aes_key, settings)
        self.tokens = TokenBook(rules.tokens, mint=lambda: secrets.token_urlsafe(96))
        self.conversations: dict[str, Conversation] = {}
        self.clears: Counter[str] = Counter()
        self.media = MediaStore(rules.media)
        self.menu: dict[str, Any] | None = None
        self.scenes = Scenes()
        self.oauth = OAuth()
        self.kf = KfDesk(rules.kf)
        self.bot = BotDesk(rules.bot)
        self.confirmation = Confirmation()
        self.frozen = False  # the secret: 40243
        self.banned = False  # the API: 48004
        self.checked_media: set[str] = set()
        self.checks_a_minute = tokens.Counter(rules.content.per_minute, tokens.MINUTE)
        self.checks_a_day = tokens.Counter(rules.content.per_day, tokens.DAY)
        self._daily = {
            name: tokens.Counter(getattr(rules.daily, name), tokens.DAY)
            for name in rules.daily.__struct_fields__
        }
        self._names: dict[str, str] = {}
        self._turn = -1

    def conversation(self, user: str) -> Conversation:
        """The chat of a user, named by openid or by name; a new one is begun."""
        openid = self._names.get(user)
        if openid is None:
            openid = self._names[user] = id_of(self.settings, user)
        known = self.conversations.get(openid)
        if known is None:
            known = Conversation(user, openid, subscribed=not self.settings.is_official)
            self.conversations[openid] = known
        return known

    def find(self, user: str) -> Conversation | None:
        """The chat of a user, named by openid or by name, if there is one."""
        return self.conversations.get(self._names.get(user, user))

    def take(self, quota: str, now: float) -> None:
        """Use one call of a day's quota (a field of `DailyRules`).

        Raises:
            Refused: 45009.
        """
        if not self._daily[quota].take(now):
            raise Refused(DAILY_LIMIT)

    def clear_quota(self) -> None:
        """What `/cgi-bin/clear_quota` does."""
        self.tokens.clear_quota()
        for counter in (*self._daily.values(), self.checks_a_day):
            counter.clear()

    def callbacks_in_turn(self) -> Iterator[str]:
        """The replicas, round and round; each push begins one further than the last.

        A delivery that failed goes on to another replica, whatever other pushes do meanwhile; one
        that is no longer a callback gets no further delivery.
        """
        self._turn += 1
        for turn in itertools.count(self._turn):
            if not (callbacks := self.callbacks):
                return
            yield callbacks[turn % len(callbacks)]


def id_of(settings: AccountSettings, user: str) -> str:
    """What the account calls a user: an openid, a WeCom UserID, a customer's external_userid."""
    if settings.kind == "wecom_kf":
        return user if user.startswith("wm") else "wm" + _digest(settings.appid, user)[:30]
    if settings.is_wecom:
        plain = USERID.fullmatch(user) is not None
        return user if plain else "u_" + _digest(settings.appid, user)[:16]
    return user if OPENID.fullmatch(user) else openid_of(settings.appid, user)


def openid_of(appid: str, name: str) -> str:
    """The openid of a user who is known by name: stable, and another for each account."""
    return "o" + _digest(appid, name)[:27]


def unionid_of(name: str) -> str:
    """One person's id over all accounts of the same owner."""
    return "u" + _digest("open platform", name)[:27]


def _digest(realm: str, name: str) -> str:
    digest = hashlib.sha256(f"{realm}/{name}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _cipher(aes_key: str, settings: AccountSettings) -> Cipher | None:
    return Cipher(aes_key, settings.receive_id) if aes_key else None
