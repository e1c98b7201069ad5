"""The stage: what users do, what they are shown, and everything that is remembered of it."""

import itertools
import time
from collections import Counter, deque
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from queqiao_simulator import envelope, quota
from queqiao_simulator.accounts import Account, Conversation, UnknownError
from queqiao_simulator.answers import Ack, Answer, Reply
from queqiao_simulator.clock import Clock
from queqiao_simulator.faults import Faults
from queqiao_simulator.observer import key_of
from queqiao_simulator.pushing import Job, Pusher
from queqiao_simulator.settings import Settings
from queqiao_simulator.transcript import (
    Entry,
    Listeners,
    Notice,
    Observation,
    Push,
    Shelves,
    Via,
    Who,
)

MSGIDS_PER_SECOND = 10_000_000


class Call(Struct, frozen=True, kw_only=True):
    """One API call, for the log. It never holds a token, a secret or a text."""

    at: float
    path: str
    account: str
    errcode: int
    ms: float
    openid: str = ""
    what: str = ""
    fault: str = ""


class World:
    """All state of the simulator, and the few ways to change it."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.listeners = Listeners()
        self.faults = Faults()
        self.pusher = self._new_pusher()
        # Above every id of an earlier run: bots remember the ids they have seen.
        self._msgids = itertools.count(int(time.time()) * MSGIDS_PER_SECOND)
        self._ids = itertools.count(1)
        self._clear()

    def _clear(self) -> None:
        settings = self.settings
        self.accounts = {a.id: Account(a, settings.tokens) for a in settings.accounts}
        self.calls: deque[Call] = deque(maxlen=settings.limits.calls)
        self.shown: Counter[str] = Counter()
        self._entries: Shelves[Entry] = Shelves(settings.limits.entries)
        self._pushes: Shelves[Push] = Shelves(settings.limits.pushes)
        self._acts: dict[str, tuple[Account, Conversation, Entry]] = {}  # by msgid and by key
        for account in self.accounts.values():
            for name in settings.users:
                account.conversation(name)

    async def reset(self) -> None:
        """Forget everything but the configuration and the clock; give up what is in flight."""
        await self.pusher.close()
        self.pusher = self._new_pusher()
        self.faults.replace(())
        self._clear()
        self.listeners.tell(Notice("reset"))

    def account(self, id: str) -> Account:  # noqa: A002 - the name of the key
        """One configured account.

        Raises:
            UnknownError: there is none of this id.
        """
        try:
            return self.accounts[id]
        except KeyError:
            raise UnknownError(f"account {id!r} is not one of {', '.join(self.accounts)}") from None

    def say(
        self,
        account: Account,
        chat: Conversation,
        kind: str,
        fields: envelope.Fields,
        msgid: str | None = None,
    ) -> Push:
        """A user writes; whoever writes follows the account. The push runs in the background."""
        msgid = msgid or str(next(self._msgids))
        now = self.clock.now()
        chat.subscribed = True
        chat.interacted_at = now
        chat.window = quota.on_message(now, self.settings.quota, chat.window)
        elements = envelope.message(kind, fields)
        entry = self._entry("user", caption(elements), kind=kind, msgid=msgid)
        return self._act(account, chat, entry, {**elements, "MsgId": int(msgid)})

    def happen(
        self,
        account: Account,
        chat: Conversation,
        name: str,
        key: str | None,
        fields: envelope.Fields,
    ) -> Push:
        """A user does something that is not a message: follows, taps the menu, scans."""
        now = self.clock.now()
        chat.interacted_at = now
        chat.window = quota.on_event(name, now, self.settings.quota, chat.window)
        if name in ("subscribe", "unsubscribe"):
            chat.subscribed = name == "subscribe"
        text = " ".join(filter(None, (name, key)))
        entry = self._entry("user", text, kind="event")
        return self._act(account, chat, entry, envelope.event(name, key, fields))

    def show(
        self,
        account: Account,
        chat: Conversation,
        text: str,
        *,
        kind: str,
        via: Via,
        ai: bool = False,
        in_reply_to: str | None = None,
    ) -> None:
        """The account's message appears in the chat."""
        chat.interacted_at = self.clock.now()
        chat.typing_until = float("-inf")
        self.shown[via] += 1
        entry = self._entry("account", text, kind=kind, via=via, ai=ai, in_reply_to=in_reply_to)
        self._append(account, chat, entry)

    def observe(self, seen: Observation, msgids: list[str]) -> int:
        """Note what a pipeline did with these messages; answers how many are known.

        They are named by msgid or by key. Told twice, it is noted once: whoever observes a bus is
        told at least once.
        """
        seen.at = round(self.clock.now(), 3)
        known = [self._acts[msgid] for msgid in msgids if msgid in self._acts]
        for account, chat, entry in known:
            if all(replace(old, at=seen.at) != seen for old in entry.detail):
                entry.detail.append(seen)
                self.changed("detail", account, chat)
        return len(known)

    def changed(self, what: Any, account: Account, chat: Conversation) -> None:
        """Tell the pages that are open."""
        if self.listeners:
            self.listeners.tell(Notice(what, account.settings.id, chat.openid, chat.name))

    def _new_pusher(self) -> Pusher:
        return Pusher(self.settings.push, self.clock, self._settled, self._progressed)

    def _progressed(self, job: Job) -> None:
        self.changed("push", job.account, job.conversation)

    def _act(
        self, account: Account, chat: Conversation, entry: Entry, elements: envelope.Fields
    ) -> Push:
        """Show what the user did, and push it."""
        fields = {
            "ToUserName": account.settings.gh_id,
            "FromUserName": chat.openid,
            "CreateTime": int(self.clock.now()),
            **elements,
        }
        entry.key = key_of(fields)
        self._append(account, chat, entry)
        for name in names_of(entry):
            self._acts[name] = (account, chat, entry)
        return self._push(account, chat, entry, fields)

    def _push(
        self, account: Account, chat: Conversation, entry: Entry, fields: envelope.Fields
    ) -> Push:
        fault = self.faults.of_push(account.settings.id, (chat.openid, chat.name))
        push = Push(
            id=next(self._ids),
            at=entry.at,
            account=account.settings.id,
            openid=chat.openid,
            user=chat.name,
            msgid=entry.msgid,
            key=entry.key,
            what=str(fields.get("Event") or fields["MsgType"]),
            fault=fault.kind if fault else "",
        )
        self._pushes.append(chat.pushes, push)
        self.pusher.start(Job(push, account, chat, fields, account.callbacks_in_turn()))
        return push

    def _settled(self, job: Job, answer: Answer | None) -> None:
        match answer:
            case Reply(kind=kind, text=text) if job.conversation.subscribed:
                self.show(
                    job.account,
                    job.conversation,
                    caption_of_reply(kind, text),
                    kind=kind,
                    via="passive",
                    in_reply_to=job.push.msgid,
                )
            case Reply() | Ack():
                pass
            case _ if not job.conversation.subscribed:
                pass
            case _:
                self.shown["error"] += 1
                error = self._entry(
                    "platform",
                    self.settings.push.error_text,
                    kind="error",
                    in_reply_to=job.push.msgid,
                )
                self._append(job.account, job.conversation, error)
        self.changed("push", job.account, job.conversation)

    def _entry(
        self,
        who: Who,
        text: str,
        *,
        kind: str,
        msgid: str | None = None,
        via: Via | None = None,
        ai: bool = False,
        in_reply_to: str | None = None,
    ) -> Entry:
        return Entry(
            id=next(self._ids),
            at=round(self.clock.now(), 3),
            who=who,
            text=text,
            kind=kind,
            msgid=msgid,
            via=via,
            ai=ai,
            in_reply_to=in_reply_to,
        )

    def _append(self, account: Account, chat: Conversation, entry: Entry) -> None:
        forgotten = self._entries.append(chat.entries, entry)
        for name in names_of(forgotten) if forgotten else ():
            self._acts.pop(name, None)
        self.changed("entry", account, chat)


def names_of(entry: Entry) -> tuple[str, ...]:
    """What an observer may call something that the user did."""
    return tuple(filter(None, (entry.msgid, entry.key)))


PICTURES = {
    "image": "[图片]", "voice": "[语音]", "video": "[视频]", "shortvideo": "[小视频]",
    "location": "[位置]", "link": "[链接]", "music": "[音乐]",
    "transfer_customer_service": "[转人工客服]",
}  # fmt: skip


def caption(elements: envelope.Fields) -> str:
    """How the chat shows a user's message."""
    kind = str(elements["MsgType"])
    if kind == "text":
        return str(elements["Content"])
    detail = next((elements[name] for name in ("Label", "Title") if name in elements), "")
    return f"{PICTURES.get(kind, f'[{kind}]')} {detail}".strip()


def caption_of_reply(kind: str, text: str) -> str:
    """How the chat shows an account's reply."""
    return text if kind in ("text", "news") else f"{PICTURES.get(kind, f'[{kind}]')} {text}".strip()
