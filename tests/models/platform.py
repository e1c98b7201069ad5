"""WeChat, as far as promises go: it delivers, delivers again, shows, and counts."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from queqiao_common.events import InboundMessage
from queqiao_common.testing import CONV, inbound
from queqiao_egress.sending import SPENT
from queqiao_ingress.callback import Callback, Hold, Publish, Reply
from queqiao_ingress.service import Answer, Ingress
from queqiao_wechat.client import AmbiguousError, ApiError, UnreachableError
from queqiao_wechat.errcodes import lookup

from tests.models.turnstile import Process, Turnstile

DELIVERIES = 3
PATIENCE = 5.0
"""Seconds that WeChat waits for the answer to one delivery."""
PAUSE = 1.0
MARK = re.compile(r"#\d+#")
PEOPLE = {"oUSER": CONV, "oOTHER": "c_zyxwvutsrqponmlkjihgfedcba"}
"""Users, and the conversations that are theirs."""


@dataclass(frozen=True)
class Shown:
    """One message as the user sees it."""

    text: str
    via: str


@dataclass
class Post:
    """One delivery under way."""

    reply: asyncio.Future[Answer]
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Chat:
    """One user's chat with the account; `sent` counts against the quota."""

    openid: str
    shown: list[Shown] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    deliveries: Counter[str] = field(default_factory=Counter)
    sent: int = 0

    @property
    def conv(self) -> str:
        """The conversation that it is for the services."""
        return PEOPLE[self.openid]


class Platform:
    """The chats of all users with one account."""

    def __init__(
        self,
        turnstile: Turnstile,
        *,
        outside: Process,
        choose: Callable[[int], tuple[Process, Ingress]],
        now_ms: Callable[[], int],
        mode: str,
        quota: int,
    ) -> None:
        self._turnstile = turnstile
        self._outside = outside
        self._choose = choose
        self._now_ms = now_ms
        self._mode = mode
        self._quota = quota
        self.chats = {openid: Chat(openid) for openid in PEOPLE}
        self.messages = 0
        self.refusals = 0
        self.lost_answers = 0
        self.accidents: list[BaseException] = []
        self.under_way = 0

    # -- a user writes ----------------------------------------------------------------------

    def write(self, chat: Chat) -> str:
        """Have a user write; returns the mark of the message."""
        self.messages += 1
        mark, msgid = f"#{self.messages}#", f"m{self.messages}"
        chat.marks[mark] = msgid
        chat.sent = 0
        self._outside.spawn(self._push(chat, msgid, f"{mark}在吗"))
        return mark

    async def _push(self, chat: Chat, msgid: str, text: str) -> None:
        self.under_way += 1
        sent_ms = self._now_ms()
        try:
            for number in range(1, DELIVERIES + 1):
                chat.deliveries[msgid] = number
                step = f"WeChat delivers {msgid}, time {number}"
                _, pick = await self._turnstile.passing(self._outside, step)
                if await self._delivered(chat, msgid, text, sent_ms, pick):
                    chat.acknowledged.add(msgid)
                    return
            chat.refused.add(msgid)
        finally:
            self.under_way -= 1

    async def _delivered(self, chat: Chat, msgid: str, text: str, sent_ms: int, pick: int) -> bool:
        process, ingress = self._choose(pick)
        post = Post(asyncio.get_running_loop().create_future())
        times = {"sent_ms": sent_ms, "received_ms": self._now_ms()}
        message = inbound(text, msgid=msgid, openid=chat.openid, conv=chat.conv, **times)
        task = process.started(self._serve(process, ingress, message, post))
        await asyncio.wait(
            [task, post.reply], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
        )
        if post.reply.done() and post.reply.result().status == 200:
            if answer := post.reply.result().reply.text:
                chat.shown.append(Shown(answer, f"passive {msgid}"))
            return True
        if task.done() and not process.is_dead and (error := task.exception()) is not None:
            self.accidents.append(error)
        if task.done() or post.reply.done():
            await asyncio.sleep(PAUSE)
        post.gone.set()
        return False

    async def _serve(
        self, process: Process, ingress: Ingress, message: InboundMessage, post: Post
    ) -> None:
        """Do as the routes of ingress do."""

        async def gone() -> None:
            await post.gone.wait()

        callback = Callback(_purpose(self._mode, message), Unwrapped())
        began = asyncio.get_running_loop().time()
        answer = await ingress.answer(callback, began=began, gone=gone)
        await self._turnstile.passing(process, f"answer {message.msgid}: {answer.kind}")
        if not post.gone.is_set():
            post.reply.set_result(answer)
        if answer.missed is not None or answer.carries:
            await ingress.follow_up(message, answer, {})

    # -- the account sends ------------------------------------------------------------------

    async def accept(self, process: Process, openid: str, text: str) -> None:
        """Take a customer-service message."""
        chat = self.chats[openid]
        fate, _ = await self._turnstile.passing(process, f"send {text[:20]}", "lost", "down")
        if fate == "down":
            raise UnreachableError("no connection")
        if chat.sent == self._quota:
            self.refusals += 1
            raise ApiError(SPENT, "out of response count limit", lookup(SPENT).action)
        chat.sent += 1
        chat.shown.append(Shown(text, "api"))
        if fate == "lost":
            self.lost_answers += 1
            raise AmbiguousError("no answer")


class Unwrapped:
    """What is never asked for here: how an answer is written as bytes."""

    media_type = "application/xml"

    def wrap(self, reply: Reply, *, now: int) -> bytes:
        raise AssertionError("the model reads texts")


def _purpose(mode: str, message: InboundMessage) -> Hold | Publish:
    match mode:
        case "passive" | "auto":
            return Hold(message, mode)
        case _:
            return Publish(message)


class Client:
    """The way of one process to WeChat's API."""

    def __init__(self, platform: Platform, process: Process) -> None:
        self._platform = platform
        self._process = process

    async def send_text(self, openid: str, text: str, *, ai: bool) -> None:
        await self._platform.accept(self._process, openid, text)

    async def typing(self, openid: str) -> None:
        raise AssertionError("switched off here")
