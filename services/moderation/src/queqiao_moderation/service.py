"""The handlers: what users say and what models say, before anybody else may see it."""

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import msgspec
from msgspec import Struct, structs
from prometheus_client import Counter
from queqiao_common import settings, telemetry
from queqiao_common.events import (
    UNREADABLE,
    Event,
    InboundMessage,
    ReplySegment,
    ScreenedMessage,
    ScreenedSegment,
    Verdict,
)
from queqiao_common.kv import Documents
from queqiao_common.worker import Buried, Received

from queqiao_moderation.limits import Admitted, Pace, admit, join, share
from queqiao_moderation.policy import Direction, Judgement, Policy

log = logging.getLogger(__name__)

T = TypeVar("T", bound=Struct)

JUDGED = Counter("queqiao_judged_total", "Texts judged.", ["direction", "verdict"])
HITS = Counter("queqiao_word_hits_total", "Words found, by list.", ["list", "direction"])

REMEMBERED_USERS = 20_000


class Moderation:
    """Screens by the policy of the moment, which may change between any two events."""

    def __init__(
        self,
        *,
        settings: settings.Moderation,
        policy: Callable[[], Policy],
        paces: Documents[Pace],
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._paces = paces
        self._seen: OrderedDict[str, Pace] = OrderedDict()

    async def screen(self, received: Received[InboundMessage]) -> AsyncIterator[Event]:
        """Judge a user's message; what WeChat itself reports passes untouched."""
        message = received.event
        if message.kind == "platform_event":
            yield _screened(received, Verdict.PASS, message.text)
        elif not await self._is_admitted(received):
            _count("in", Verdict.THROTTLED)
            yield _screened(received, Verdict.THROTTLED, self._settings.throttled)
        else:
            judgement = self._judge(message.text, "in")
            yield _screened(
                received, judgement.verdict, _said(judgement, self._settings.blocked_input)
            )

    async def screen_draft(self, received: Received[ReplySegment]) -> AsyncIterator[Event]:
        """Judge a piece of an answer."""
        piece = received.event
        judgement = self._judge(piece.text, "out")
        text = _said(judgement, self._settings.blocked_output)
        yield _screened_segment(piece, judgement.verdict, text)

    async def bury_message(self, buried: Buried) -> AsyncIterator[Event]:
        """Tell the conversation of a message that cannot be screened, else it waits for ever."""
        account, conv = buried.subject.split(".")[2:4]
        message = _read(buried.body, InboundMessage)
        yield ScreenedMessage(
            id=f"scr:{message.id}" if message else f"scr:{account}.{conv}:{buried.sequence}",
            account=account,
            conv=conv,
            sequence=buried.sequence,
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


def _read(body: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE:
        return None


def _said(judgement: Judgement, refusal: str) -> str:
    return refusal if judgement.verdict is Verdict.BLOCKED else judgement.text


def _count(direction: Direction, verdict: Verdict) -> None:
    JUDGED.labels(direction, verdict).inc()
    telemetry.note({telemetry.VERDICT: verdict.value})


def _screened(received: Received[InboundMessage], verdict: Verdict, text: str) -> ScreenedMessage:
    message = received.event
    return ScreenedMessage(
        id=f"scr:{message.id}",
        account=message.account,
        conv=message.conv,
        sequence=received.sequence,
        verdict=verdict,
        message=message,
        text=text,
    )


def _screened_segment(piece: ReplySegment, verdict: Verdict, text: str) -> ScreenedSegment:
    fields = structs.asdict(piece) | {"id": f"scr:{piece.id}", "text": text}
    return ScreenedSegment(**fields, verdict=verdict)
