"""What a test would complain about in the chats of an account. Pure reading.

Source: protocol reference 13 (control API): exactly one answer per MsgId, order per user, nothing
sent after the window, no secrets in a chat, every AI text labelled.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.settings import AccountSettings
from queqiao_simulator.transcript import Call, Entry

Rule: TypeAlias = Literal["shown_twice", "out_of_order", "unlabelled", "secret", "after_window"]
WRITTEN = frozenset({"text", "stream", "markdown", "news"})
CLOSED = frozenset({45015, 45047})


class Finding(Struct, frozen=True, kw_only=True):
    """One complaint: which rule, where."""

    rule: Rule
    user: str
    entry: int = 0
    detail: str = ""


def findings(
    account: Account, everyone: Iterable[AccountSettings], calls: Iterable[Call], label: str
) -> list[Finding]:
    """Look through all chats of an account; an empty `label` does not ask for labels.

    A text is labelled by WeChat's own mark, or by holding `label`.
    """
    secrets = [secret for one in everyone for secret in secrets_of(one)]
    found = [one for chat in account.conversations.values() for one in _in(chat, secrets, label)]
    return found + list(_after_window(account, calls))


def secrets_of(settings: AccountSettings) -> list[str]:
    """What must never be read in a chat; short ones would be found by chance."""
    given = (settings.secret, settings.token, settings.aes_key, settings.previous_aes_key)
    return [secret for secret in given if len(secret) >= 8]


def _in(chat: Conversation, secrets: list[str], label: str) -> Iterator[Finding]:
    yield from _shown_twice(chat)
    yield from _out_of_order(chat)
    for entry in chat.entries:
        if entry.who != "account" or entry.via == "agent":
            continue
        if any(secret in entry.text for secret in secrets):
            yield Finding(rule="secret", user=chat.name, entry=entry.id)
        if label and entry.kind in WRITTEN and not (entry.ai or label in entry.text):
            yield Finding(rule="unlabelled", user=chat.name, entry=entry.id)


def _shown_twice(chat: Conversation) -> Iterator[Finding]:
    answered = Counter(entry.in_reply_to for entry in _answers(chat))
    for msgid, times in answered.items():
        if times > 1:
            yield Finding(rule="shown_twice", user=chat.name, detail=str(msgid))


def _out_of_order(chat: Conversation) -> Iterator[Finding]:
    place = {entry.msgid: entry.id for entry in chat.entries if entry.who == "user"}
    last = 0
    for entry in _answers(chat):
        asked = place.get(entry.in_reply_to, 0)
        if asked < last:
            yield Finding(rule="out_of_order", user=chat.name, entry=entry.id)
        last = max(last, asked)


def _answers(chat: Conversation) -> Iterator[Entry]:
    return (
        entry
        for entry in chat.entries
        if entry.who == "account" and entry.via in ("passive", "stream") and entry.in_reply_to
    )


def _after_window(account: Account, calls: Iterable[Call]) -> Iterator[Finding]:
    names = {chat.openid: chat.name for chat in account.conversations.values()}
    for call in calls:
        if call.account == account.settings.id and call.errcode in CLOSED and not call.fault:
            user = names.get(call.openid, call.openid)
            yield Finding(rule="after_window", user=user, detail=str(call.errcode))
