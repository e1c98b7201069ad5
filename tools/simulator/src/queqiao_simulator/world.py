"""The stage: what users do, what they are shown, and everything that is remembered of it."""

import itertools
import secrets
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from queqiao_simulator import agents, bot_play, envelope, faults, quota
from queqiao_simulator.accounts import Account, Conversation, UnknownError
from queqiao_simulator.answers import Ack, Answer, Reply
from queqiao_simulator.captions import caption, caption_of_reply
from queqiao_simulator.clock import Clock
from queqiao_simulator.faults import Fault, Faults
from queqiao_simulator.judging import Job
from queqiao_simulator.observer import key_of
from queqiao_simulator.pushing import Pusher
from queqiao_simulator.recording import Recorder
from queqiao_simulator.rules import Label
from queqiao_simulator.settings import Settings
from queqiao_simulator.timers import Timers
from queqiao_simulator.transcript import (
    Alarm,
    Call,
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
ALARMS = 10_000
ALARM_OF = {
    "timeout": "请求超时", "refused": "连接超时", "reset": "回应失败", "invalid": "回应失败",
    "server_error": "回应失败",
}  # fmt: skip


class World:
    """All state of the simulator, and the few ways to change it.

    `base_url` is where bots reach the simulator; `lasting` are the faults that a reset restores.
    """

    def __init__(self, settings: Settings, clock: Clock, lasting: tuple[Fault, ...] = ()) -> None:
        self.settings = settings
        self.clock = clock
        self.base_url = settings.public_url.rstrip("/")
        self.listeners = Listeners()
        self.faults = Faults()
        self.timers = Timers(clock)
        self.recorder = Recorder()
        self.pusher = self._new_pusher()
        # Above every id of an earlier run: bots remember the ids they have seen.
        self._msgids = itertools.count(int(time.time()) * MSGIDS_PER_SECOND)
        self._ids = itertools.count(1)
        self._lasting = lasting
        self._clear()

    def _clear(self) -> None:
        settings = self.settings
        self.accounts = {a.id: Account(a, settings) for a in settings.accounts}
        self.calls: deque[Call] = deque(maxlen=settings.limits.calls)
        self.alarms: deque[Alarm] = deque(maxlen=ALARMS)
        self.shown: Counter[str] = Counter()
        self.labels: tuple[Label, ...] = settings.content.labels
        self._entries: Shelves[Entry] = Shelves(settings.limits.entries)
        self._pushes: Shelves[Push] = Shelves(settings.limits.pushes)
        self._acts: dict[str, tuple[Account, Conversation, Entry]] = {}  # by msgid and by key
        self.faults.replace(replace(rule, fired=0) for rule in self._lasting)
        for account in self.accounts.values():
            for name in settings.users:
                account.conversation(name)

    async def reset(self) -> None:
        """Forget everything but the configuration and the clock; give up what is in flight."""
        await self.pusher.close()
        self.timers.clear()
        self.pusher = self._new_pusher()
        self._clear()
        self.listeners.tell(Notice("reset"))

    def record_to(self, path: Path | None) -> None:
        """Append every push to a file from now on; None: no longer."""
        self.recorder.close()
        self.recorder = Recorder(path)

    def account(self, id: str) -> Account:  # noqa: A002 - the name of the key
        """One configured account.

        Raises:
            UnknownError: there is none of this id.
        """
        try:
            return self.accounts[id]
        except KeyError:
            raise UnknownError(f"account {id!r} is not one of {', '.join(self.accounts)}") from None

    def new_msgid(self) -> str:
        """An id that no message has had."""
        return str(next(self._msgids))

    def say(
        self,
        account: Account,
        chat: Conversation,
        kind: str,
        fields: envelope.Fields,
        msgid: str | None = None,
        content: dict[str, Any] | None = None,
    ) -> Push:
        """A user writes; whoever writes follows the account. The push runs in the background."""
        msgid = msgid or self.new_msgid()
        now = self.clock.now()
        self.follow(chat)
        chat.interacted_at = now
        # A tap on a msgmenu item counts as a click (protocol reference 6.1).
        chat.window = (
            quota.on_event("msgmenu", now, self.settings.quota, chat.window)
            if "bizmsgmenuid" in fields
            else quota.on_message(now, self.settings.quota, chat.window)
        )
        elements = envelope.message(kind, fields)
        entry = self.entry("user", caption(elements), kind=kind, msgid=msgid, content=content)
        if agents.is_served(self, account, chat):
            return self.drop(account, chat, entry)
        return self.act(account, chat, entry, {**elements, "MsgId": int(msgid)})

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
        if name == "subscribe":
            self.follow(chat)
        elif name == "unsubscribe":
            chat.subscribed = False
            chat.agent = ""
        text = " ".join(filter(None, (name, key)))
        entry = self.entry("user", text, kind="event")
        return self.act(account, chat, entry, envelope.event(name, key, fields))

    def follow(self, chat: Conversation) -> None:
        """The user follows the account from now on."""
        if not chat.subscribed:
            chat.subscribed, chat.subscribed_at = True, self.clock.now()

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
        content: dict[str, Any] | None = None,
    ) -> Entry:
        """The account's message appears in the chat."""
        chat.interacted_at = self.clock.now()
        chat.typing_until = float("-inf")
        self.shown[via] += 1
        entry = self.entry(
            "account", text, kind=kind, via=via, ai=ai, in_reply_to=in_reply_to, content=content
        )
        entry.content |= self.medium_of(account, entry.content.get("media_id"))
        self.add(account, chat, entry)
        return entry

    def medium_of(self, account: Account, media_id: object) -> dict[str, Any]:
        """What a chat shows of a medium: its kind, and where the page finds it."""
        medium = account.media.find(media_id, self.clock.now())
        if medium is None:
            return {}
        path = f"/simulated/media/{account.settings.id}/{medium.id}"
        shown = {"id": medium.id, "kind": medium.kind, "mime": medium.mime, "path": path}
        return {"media": shown}

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

    def act(
        self, account: Account, chat: Conversation, entry: Entry, elements: envelope.Fields
    ) -> Push:
        """Show what the user did, and push it."""
        fields = self.addressed(account, chat, elements)
        entry.key = key_of(fields)
        self.add_act(account, chat, entry)
        return self.push(account, chat, entry, fields)

    def tell(self, account: Account, chat: Conversation, elements: envelope.Fields) -> Push:
        """Push something that no chat shows: a job that has finished, an agent's coming."""
        fields = self.addressed(account, chat, elements)
        entry = self.entry("platform", "", kind="event")
        entry.key = key_of(fields)
        return self.push(account, chat, entry, fields)

    def addressed(
        self, account: Account, chat: Conversation, elements: envelope.Fields
    ) -> envelope.Fields:
        """Elements with what every push carries around them."""
        wecom = account.settings.kind == "wecom"
        return {
            "ToUserName": account.settings.gh_id,
            "FromUserName": chat.openid,
            "CreateTime": int(self.clock.now()),
            **elements,
            **({"AgentID": account.settings.agent_id} if wecom else {}),
        }

    def push(
        self,
        account: Account,
        chat: Conversation,
        entry: Entry,
        fields: envelope.Fields,
        **options: Any,
    ) -> Push:
        """Push these fields, and what a fault adds to them; `options` are those of a `Job`."""
        fault = self.faults.of_push(account.settings.id, (chat.openid, chat.name))
        push = self._start(account, chat, entry, fields, fault, options)
        for more in faults.companions(fault, fields):
            extra = {**more, "MsgId": int(self.new_msgid())} if "MsgId" in more else more
            self._start(account, chat, replace(entry, msgid=None, key=""), extra, None, options)
        return push

    def drop(self, account: Account, chat: Conversation, entry: Entry) -> Push:
        """Show what the user did, and push nothing: it goes to a person, or nowhere."""
        self.add_act(account, chat, entry)
        push = self._record(account, chat, entry, entry.kind, "")
        push.result = "dropped"
        return push

    def add_act(self, account: Account, chat: Conversation, entry: Entry) -> None:
        """Show what the user did; observers may name it from now on."""
        self.add(account, chat, entry)
        for name in names_of(entry):
            self._acts[name] = (account, chat, entry)

    def add(self, account: Account, chat: Conversation, entry: Entry) -> None:
        """Put a line into a chat."""
        forgotten = self._entries.append(chat.entries, entry)
        for name in names_of(forgotten) if forgotten else ():
            self._acts.pop(name, None)
        self.changed("entry", account, chat)

    def entry(
        self,
        who: Who,
        text: str,
        *,
        kind: str,
        msgid: str | None = None,
        via: Via | None = None,
        ai: bool = False,
        in_reply_to: str | None = None,
        content: dict[str, Any] | None = None,
    ) -> Entry:
        """A new line of a chat, not yet shown."""
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
            content=dict(content or {}),
        )

    def _start(
        self,
        account: Account,
        chat: Conversation,
        entry: Entry,
        fields: envelope.Fields,
        fault: Fault | None,
        options: Mapping[str, Any],
    ) -> Push:
        what = str(fields.get("Event") or fields.get("MsgType") or fields.get("msgtype"))
        push = self._record(account, chat, entry, what, fault.kind if fault else "")
        callbacks, nonce = account.callbacks_in_turn(), str(secrets.randbelow(10**9))
        job = Job(push, account, chat, fields, callbacks, fault, nonce, **options)
        self.recorder.note(job, self.clock.now())
        self.pusher.start(job)
        return push

    def _record(
        self, account: Account, chat: Conversation, entry: Entry, what: str, fault: str
    ) -> Push:
        push = Push(
            id=next(self._ids),
            at=entry.at,
            account=account.settings.id,
            openid=chat.openid,
            user=chat.name,
            msgid=entry.msgid,
            key=entry.key,
            what=what,
            fault=fault,
        )
        self._pushes.append(chat.pushes, push)
        return push

    def _new_pusher(self) -> Pusher:
        return Pusher(self.settings, self.clock, self._settled, self._progressed)

    def _progressed(self, job: Job) -> None:
        self.changed("push", job.account, job.conversation)

    def _settled(self, job: Job, answer: Answer | None) -> None:
        match answer:
            case Ack():
                bot_play.unanswered(job)
            case Reply() as reply if job.conversation.subscribed:
                self._reply(job, reply)
            case Reply():
                pass
            case _:
                self._failed(job)
        self.changed("push", job.account, job.conversation)

    def _reply(self, job: Job, reply: Reply) -> None:
        if job.account.settings.kind == "wecom_bot":
            return bot_play.answered(self, job, reply)
        self.show(
            job.account,
            job.conversation,
            caption_of_reply(reply.kind, reply.text),
            kind=reply.kind,
            via="passive",
            in_reply_to=job.push.msgid,
            content=reply.content,
        )
        if reply.kind == "transfer_customer_service":
            agents.hand_over(self, job.account, job.conversation, reply.content.get("agent", ""))
        return None

    def _failed(self, job: Job) -> None:
        """Tell the account's owner; the user of an Official Account sees an error."""
        push, account = job.push, job.account
        last = push.deliveries[-1] if push.deliveries else None
        alarm = ALARM_OF.get(last.outcome or "", "") if last else "MarkFail"
        reason = last.reason if last else "pushes are suspended"
        self.alarms.append(
            Alarm(at=push.at, account=push.account, push=push.id, kind=alarm, reason=reason)
        )
        bot_play.unanswered(job)
        if account.settings.is_wecom or not job.conversation.subscribed:
            return
        self.shown["error"] += 1
        text = self.settings.push.error_text
        error = self.entry("platform", text, kind="error", in_reply_to=push.msgid)
        self.add(account, job.conversation, error)


def names_of(entry: Entry) -> tuple[str, ...]:
    """What an observer may call something that the user did."""
    return tuple(filter(None, (entry.msgid, entry.key)))
