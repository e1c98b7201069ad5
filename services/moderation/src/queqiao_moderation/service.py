"""The handlers: what users say and what models say, before anybody else may see it."""

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import msgspec
from msgspec import Struct
from prometheus_client import Counter
from queqiao_common import settings, telemetry
from queqiao_common.events import (
    UNREADABLE,
    Event,
    InboundMessage,
    MediaReady,
    MediaWanted,
    ReplySegment,
    ScreenedMessage,
    ScreenedSegment,
    Verdict,
)
from queqiao_common.kv import Documents
from queqiao_common.worker import Buried, Received

from queqiao_moderation import written
from queqiao_moderation.limits import Admitted, Pace, admit, join, share
from queqiao_moderation.policy import Direction, Judgement, Policy

log = logging.getLogger(__name__)

T = TypeVar("T", bound=Struct)

JUDGED = Counter("queqiao_judged_total", "Texts judged.", ["direction", "verdict"])
HITS = Counter("queqiao_word_hits_total", "Words found, by list.", ["list", "direction"])

REMEMBERED_USERS = 20_000
REFUSED = Judgement(Verdict.BLOCKED, "")
FETCHED = frozenset({"image", "voice"})
"""The kinds of media that are of use; others are answered by the text for what is not served."""


Refuses = Callable[[str, Direction], Awaitable[bool]]
"""A second opinion on what the word lists let pass."""


class Moderation:
    """Screens by the policy of the moment, which may change between any two events."""

    def __init__(
        self,
        *,
        settings: settings.Moderation,
        policy: Callable[[], Policy],
        paces: Documents[Pace],
        fetches_media: bool = True,
        refuses: Refuses | None = None,
    ) -> None:
        self._settings = settings
        self._fetches_media = fetches_media
        self._refuses = refuses
        self._policy = policy
        self._paces = paces
        self._seen: OrderedDict[str, Pace] = OrderedDict()

    async def screen(self, received: Received[InboundMessage]) -> AsyncIterator[Event]:
        """Judge a user's message; what WeChat itself reports passes untouched.

        Pictures and voice are fetched first, and judged when they are there.
        """
        message = received.event
        if message.kind == "platform_event":
            yield _screened(message, received.sequence, Verdict.PASS, message.text)
        elif not await self._is_admitted(received):
            _count("in", Verdict.THROTTLED)
            throttled = self._settings.throttled
            yield _screened(message, received.sequence, Verdict.THROTTLED, throttled)
        elif self._fetches_media and any(one.kind in FETCHED for one in message.media):
            yield MediaWanted(
                id=f"media:{message.id}:{received.sequence}",
                account=message.account,
                conv=message.conv,
                sequence=received.sequence,
                message=message,
            )
        else:
            yield await self._judged(message, received.sequence, message.text)

    async def screen_media(self, received: Received[MediaReady]) -> AsyncIterator[Event]:
        """Judge a message whose pictures are fetched and whose voice is text by now."""
        ready = received.event
        heard = (one.text for one in ready.message.media)
        text = "\n".join(filter(None, (ready.message.text, *heard)))
        yield await self._judged(ready.message, ready.sequence, text)

    async def screen_draft(self, received: Received[ReplySegment]) -> AsyncIterator[Event]:
        """Judge a piece of an answer, with all that a model has written for it."""
        piece = received.event
        is_refused = await self._is_refused(written.all_of(piece), "out")
        screened = written.screened(
            piece,
            lambda text: REFUSED if is_refused else self._judge(text, "out"),
            refusal=self._settings.blocked_output,
        )
        telemetry.note({telemetry.VERDICT: screened.verdict.value})
        yield screened

    async def bury_message(self, buried: Buried) -> AsyncIterator[Event]:
        """Tell the conversation of a message that cannot be screened, else it waits for ever."""
        account, conv = buried.subject.split(".")[2:4]
        message = _read(buried.body, InboundMessage)
        yield ScreenedMessage(
            id=_verdict_id(message.id if message else f"{account}.{conv}", buried.sequence),
            account=account,
            conv=conv,
            sequence=buried.sequence,
            verdict=Verdict.FAILED,
            message=message,
        )

    async def bury_media(self, buried: Buried) -> AsyncIterator[Event]:
        """Tell the conversation of media that cannot be screened, if it can be read whose."""
        stub = _read(buried.body, MediaStub)
        if stub is None:
            return
        ready = _read(buried.body, MediaReady)
        message = ready.message if ready else None
        yield ScreenedMessage(
            id=_verdict_id(message.id if message else stub.id, stub.sequence),
            account=stub.account,
            conv=stub.conv,
            sequence=stub.sequence,
            verdict=Verdict.FAILED,
            message=message,
        )

    async def bury_draft(self, buried: Buried) -> AsyncIterator[Event]:
        """Tell the turn of a piece that cannot be screened, if it can be read whose it was."""
        stub = _read(buried.body, Stub)
        if stub is not None:
            yield ScreenedSegment(
                id=f"scr:rep:{stub.turn_id}.{stub.attempt}.{stub.number}",
                account=stub.account,
                conv=stub.conv,
                turn_id=stub.turn_id,
                number=stub.number,
                attempt=stub.attempt,
                text="",
                verdict=Verdict.FAILED,
                final=True,
                failed=True,
            )

    async def _judged(self, message: InboundMessage, sequence: int, text: str) -> ScreenedMessage:
        judgement = self._judge(text, "in")
        if judgement.verdict is not Verdict.BLOCKED and await self._is_refused(text, "in"):
            judgement = REFUSED
        refused = judgement.verdict is Verdict.BLOCKED
        said = self._settings.blocked_input if refused else judgement.text
        return _screened(message, sequence, judgement.verdict, said)

    async def _is_refused(self, text: str, direction: Direction) -> bool:
        if self._refuses is None or not await self._refuses(text, direction):
            return False
        _count(direction, Verdict.BLOCKED)
        return True

    def _judge(self, text: str, direction: Direction) -> Judgement:
        judgement = self._policy().judge(text, direction)
        _count(direction, judgement.verdict)
        for hit in judgement.hits:
            HITS.labels(hit.list, direction).inc()
        if judgement.hits:
            evidence = sorted({f"{hit.list}[{hit.word}]" for hit in judgement.hits})
            fields = {"verdict": judgement.verdict, "direction": direction, "words": evidence}
            log.info("text.hit", extra=fields)
        return judgement

    async def _is_admitted(self, received: Received[InboundMessage]) -> bool:
        """Apply the user's limit; the shared count is asked only from a quarter of it on."""
        limit = self._settings.messages_per_minute
        if not limit:
            return True
        message = received.event
        one = Admitted(message.received_ms, received.sequence)
        key = f"{message.account}.{message.conv}"
        known = self._seen.get(key, Pace())
        pace, admitted = admit(known, one, limit=share(limit))
        if not admitted:
            pace, admitted = await self._paces.update(key, _asking(known, one, limit))
        self._remember(key, pace)
        return admitted

    def _remember(self, key: str, pace: Pace) -> None:
        self._seen[key] = pace
        self._seen.move_to_end(key)
        if len(self._seen) > REMEMBERED_USERS:
            self._seen.popitem(last=False)


def _asking(
    known: Pace, one: Admitted, limit: int
) -> Callable[[Pace | None], tuple[Pace | None, tuple[Pace, bool]]]:
    """Return the change that adds what this replica knows to the shared count, and admits by it."""

    def change(shared: Pace | None) -> tuple[Pace | None, tuple[Pace, bool]]:
        pace, admitted = admit(join(shared or Pace(), known), one, limit=limit)
        return (None if pace == shared else pace), (pace, admitted)

    return change


class Stub(Struct, frozen=True):
    """As much of a piece as is needed to tell its turn."""

    account: str
    conv: str
    turn_id: str
    attempt: int = 1
    number: int = 0


class MediaStub(Struct, frozen=True):
    """As much of a message's media as is needed to tell its conversation."""

    id: str
    account: str
    conv: str
    sequence: int


def _read(body: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE:
        return None


def _count(direction: Direction, verdict: Verdict) -> None:
    JUDGED.labels(direction, verdict).inc()
    telemetry.note({telemetry.VERDICT: verdict.value})


def _verdict_id(cause: str, sequence: int) -> str:
    """Return the id of a verdict: a redelivery has the same sequence, a replay a new one.

    Were it the message's alone, the verdict on a replay would be dropped as a repeat, and its
    conversation would wait for it.
    """
    return f"scr:{cause}:{sequence}"


def _screened(
    message: InboundMessage, sequence: int, verdict: Verdict, text: str
) -> ScreenedMessage:
    return ScreenedMessage(
        id=_verdict_id(message.id, sequence),
        account=message.account,
        conv=message.conv,
        sequence=sequence,
        verdict=verdict,
        message=message,
        text=text,
    )
