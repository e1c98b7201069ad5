"""The accounts on stage and the users who chat with them: state, nothing more."""

import base64
import hashlib
import itertools
import re
import secrets
from collections import Counter, deque
from collections.abc import Iterator

from msgspec import Struct, field
from queqiao_wechat.crypto import Cipher

from queqiao_simulator.quota import Window
from queqiao_simulator.settings import AccountSettings, TokenRules
from queqiao_simulator.tokens import TokenBook
from queqiao_simulator.transcript import Entry, Push

OPENID = re.compile(r"o[A-Za-z0-9_-]{27}")


class UnknownError(LookupError):
    """The control API named an account that is not configured."""


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
    entries: deque[Entry] = field(default_factory=deque)
    pushes: deque[Push] = field(default_factory=deque)


class Account:
    """One official account: its settings, its tokens, its chats."""

    def __init__(self, settings: AccountSettings, rules: TokenRules) -> None:
        self.settings = settings
        self.callbacks = settings.callbacks
        self.cipher = Cipher(settings.aes_key, settings.appid) if settings.aes_key else None
        self.tokens = TokenBook(rules, mint=lambda: secrets.token_urlsafe(96))
        self.conversations: dict[str, Conversation] = {}
        self.clears: Counter[str] = Counter()
        self._names: dict[str, str] = {}
        self._turn = -1

    def conversation(self, user: str) -> Conversation:
        """The chat of a user, named by openid or by name; a new one is begun."""
        openid = self._names.get(user)
        if openid is None:
            openid = user if OPENID.fullmatch(user) else openid_of(self.settings.appid, user)
            self._names[user] = openid
        known = self.conversations.get(openid)
        if known is None:
            known = self.conversations[openid] = Conversation(user, openid)
        return known

    def find(self, user: str) -> Conversation | None:
        """The chat of a user, named by openid or by name, if there is one."""
        return self.conversations.get(self._names.get(user, user))

    def callbacks_in_turn(self) -> Iterator[str]:
        """The replicas, round and round; each push begins one further than the last.

        A delivery that failed goes on to another replica, whatever other pushes do meanwhile.
        """
        self._turn += 1
        first = self._turn % max(len(self.callbacks), 1)
        return itertools.cycle(self.callbacks[first:] + self.callbacks[:first])


def openid_of(appid: str, name: str) -> str:
    """The openid of a user who is known by name: stable, and another for each account."""
    digest = hashlib.sha256(f"{appid}/{name}".encode()).digest()
    return "o" + base64.urlsafe_b64encode(digest).decode()[:27]
