"""The conversation's state machine: document and event in, document and events out.

Pure, because compare-and-swap calls it again for the loser of a race, and because any replica may
handle any event in any order and more than once. What must be published next always follows from
the document (`outbox`), so that a process which dies after writing it leaves nothing undone: the
event it was handling comes again, changes nothing, and the outbox is published again under the
same ids.

One turn is in flight at a time, and within it one delivery: that gives order per user without
locks, partitions or sticky replicas.
"""

from dataclasses import dataclass

from msgspec import structs
from queqiao_common import ids
from queqiao_common.events import (
    Delivery,
    DeliveryResult,
    Event,
    Prompt,
    ScreenedMessage,
    ScreenedSegment,
    TurnTimeout,
    Verdict,
    Waiting,
)
from queqiao_common.worker import Outgoing

from queqiao_context.document import VERSION, Arrival, Asked, Conversation, Piece, Turn
from queqiao_context.outbox import news, outbox, turn_id_of
from queqiao_context.rules import Rules

MAX_WAITING = 24
"""Open requests remembered for one turn; WeChat itself keeps a callback for 15 s at most."""
GIVEN_UP = 1 << 30
"""The attempt of a turn that has timed out: no model run is newer."""
GRACE_MS = 5000
"""How long after its deadline a turn is still expected to be ended by its timer."""


@dataclass(frozen=True, slots=True)
class Step:
    """The document after an event (None: unchanged), and what is to be published."""

    document: Conversation | None
    publish: tuple[Event | Outgoing, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """All sequences of a conversation's inbound messages after `after`, up to `upto`.

    `verdicts` are what moderation has stored about them. As a rule they are on their way to us
    anyway; where the document was lost, or its stream restored, they came long ago.
    """

    after: int
    upto: int
    sequences: tuple[int, ...]
    verdicts: tuple[Arrival, ...] = ()

    def covers(self, gap: "Gap") -> bool:
        """Whether nothing in the gap is unknown to this chain."""
        return self.after <= gap.after and gap.upto <= self.upto


class Gap(Exception):  # noqa: N818 - an answer, not an accident
    """The messages after `after` and up to `upto` must be known before anything is absorbed."""

    def __init__(self, after: int, upto: int) -> None:
        super().__init__(f"after {after} up to {upto}")
        self.after = after
        self.upto = upto


class Doubt(Exception):  # noqa: N818 - a question, not an accident
    """The document was written in another epoch than `Rules.epoch`: which of them is over?"""


# -- a message ------------------------------------------------------------------------------


def absorb(
    talk: Conversation | None,
    screened: ScreenedMessage,
    chain: Chain | None,
    rules: Rules,
    *,
    traceparent: str = "",
    sure: bool = False,
) -> Step:
    """Take in a screened message, and every later one that was waiting for it.

    A message is absorbed only when all earlier ones of the conversation are: two moderation
    replicas must not swap two quick messages. `sure` says that `Rules.epoch` was read just now.

    Raises:
        Gap: `chain` does not cover what lies between the cursor and the latest arrival.
        Doubt: the epoch of the document is not the one we know, and we are not sure of ours.
    """
    talk = talk or _begun(screened, rules)
    if talk.epoch != rules.epoch:
        if not sure:
            raise Doubt
        talk = structs.replace(talk, epoch=rules.epoch, cursor=0, early=())
    if screened.sequence <= talk.cursor:
        return Step(None, outbox(talk, rules))
    latest = max(screened.sequence, *(one.screened.sequence for one in talk.early), 0)
    gap = Gap(talk.cursor, latest)
    if chain is None or not chain.covers(gap):
        raise gap
    before, is_late = talk, _is_late(talk, rules)
    if is_late:
        talk = _given_up(talk, rules)
    arrivals = {one.screened.sequence: one for one in (*chain.verdicts, *talk.early)}
    arrivals.setdefault(screened.sequence, Arrival(screened=screened, traceparent=traceparent))
    for sequence in chain.sequences:
        if sequence > talk.cursor:
            if sequence not in arrivals:
                break
            talk = _take(talk, arrivals.pop(sequence), rules)
    early = tuple(arrivals[one] for one in sorted(arrivals) if one > talk.cursor)
    step = _advance(before, structs.replace(talk, early=early), rules)
    return _with_outbox(step, rules) if is_late else step


def _begun(screened: ScreenedMessage, rules: Rules) -> Conversation:
    return Conversation(
        account=screened.account,
        conv=screened.conv,
        version=VERSION,
        epoch=rules.epoch,
        # Not from 0: had there been a document that is lost, its turns would be numbered again,
        # and what they publish would be taken for repeats. No turn's number exceeds its sequence.
        turns=screened.sequence - 1,
    )


def _take(talk: Conversation, arrival: Arrival, rules: Rules) -> Conversation:
    """Absorb one message: it becomes part of the queue, or a request for what is parked."""
    screened = arrival.screened
    talk = structs.replace(talk, cursor=screened.sequence)
    message = screened.message
    if message is None:
        return talk  # undecodable: nobody knows whom to answer
    talk = structs.replace(talk, openid=message.openid or talk.openid)
    waiting = Waiting(msgid=message.msgid, received_ms=message.received_ms, trigger=message.trigger)
    if _wants_parked(talk, screened, rules):
        talk = structs.replace(talk, collect=(*talk.collect, waiting)[-MAX_WAITING:])
        if _is_fetch(screened, rules):
            return _let_turn_answer(talk, waiting)
    asked = _asked(screened, waiting, rules, arrival.traceparent)
    return talk if asked is None else _enqueue(talk, asked, rules)


def _is_fetch(screened: ScreenedMessage, rules: Rules) -> bool:
    return (
        screened.verdict in {Verdict.PASS, Verdict.MASKED}
        and screened.text.strip() in rules.settings.fetch_words
    )


def _wants_parked(talk: Conversation, screened: ScreenedMessage, rules: Rules) -> bool:
    """Whether this message's open request should carry what is, or soon will be, parked."""
    if talk.parked > 0:
        return True
    busy = talk.turn is not None or talk.out is not None
    return rules.passive_only and busy and _is_fetch(screened, rules)


def _let_turn_answer(talk: Conversation, waiting: Waiting) -> Conversation:
    """A fetch word sent while the answer is being written: its request may carry that answer."""
    if talk.turn is None:
        return talk
    merged = (*talk.turn.waiting, waiting)[-MAX_WAITING:]
    return structs.replace(talk, turn=structs.replace(talk.turn, waiting=merged))


def _asked(
    screened: ScreenedMessage, waiting: Waiting, rules: Rules, traceparent: str
) -> Asked | None:
    """Say what a message asks for; None where it asks for nothing."""
    message, settings = screened.message, rules.settings
    if message is None:
        return None

    def notice(text: str) -> Asked | None:
        if not text:
            return None
        return Asked(kind="notice", text=text, waiting=(waiting,), traceparent=traceparent)

    if screened.verdict in {Verdict.BLOCKED, Verdict.THROTTLED}:
        return notice(screened.text)
    if screened.verdict is Verdict.FAILED:
        return notice(settings.apology)
    if message.kind == "platform_event":
        return notice(rules.welcome if message.platform_event == "subscribe" else "")
    if message.kind == "unsupported" or not screened.text.strip():
        return notice(settings.unsupported)
    reset = screened.text.strip() in settings.reset_words
    return Asked(
        kind="reset" if reset else "question",
        text=settings.reset_text if reset else screened.text,
        waiting=(waiting,),
        traceparent=traceparent,
    )


def _enqueue(talk: Conversation, asked: Asked, rules: Rules) -> Conversation:
    """Queue it; too many questions become one request for patience."""
    if asked.kind == "question" and len(talk.queue) >= rules.settings.max_queued:
        asked = structs.replace(asked, kind="notice", text=rules.settings.busy)
    last = talk.queue[-1] if talk.queue else None
    if last and asked.kind == last.kind == "notice" and asked.text == last.text:
        merged = structs.replace(asked, waiting=(*last.waiting, *asked.waiting)[-MAX_WAITING:])
        return structs.replace(talk, queue=(*talk.queue[:-1], merged))
    return structs.replace(talk, queue=(*talk.queue, asked))


# -- a piece of an answer -------------------------------------------------------------------


def record(talk: Conversation | None, piece: ScreenedSegment, rules: Rules) -> Step:
    """Record a piece by its number, and release it when it is the next and nothing is out.

    Pieces of one attempt at a time: a newer run of the model writes another text, so what an older
    one left unreleased is dropped, and of the newer one what was already said is skipped.
    """
    turn = talk.turn if talk else None
    if talk is None or turn is None or turn_id_of(talk, turn) != piece.turn_id:
        return Step(None, outbox(talk, rules))
    if piece.attempt < turn.attempt or (piece.attempt > turn.attempt and _is_whole(turn)):
        return Step(None, outbox(talk, rules))
    if piece.attempt > turn.attempt:
        turn = structs.replace(turn, attempt=piece.attempt, pieces=(), final=None)
    turn = _with_piece(turn, piece, rules)
    if turn == talk.turn:
        return Step(None, outbox(talk, rules))
    return _advance(talk, structs.replace(talk, turn=turn), rules)


def _is_whole(turn: Turn) -> bool:
    """Whether the answer is complete, so that another run of the model has nothing to add."""
    if turn.final is None:
        return False
    return len(turn.pieces) == turn.final - turn.released + 1


def _with_piece(turn: Turn, piece: ScreenedSegment, rules: Rules) -> Turn:
    if piece.failed or piece.verdict is Verdict.FAILED:
        return _ended(turn, rules.settings.apology)
    if piece.verdict is Verdict.BLOCKED:
        number = max(piece.number, turn.released)
        kept = tuple(one for one in turn.pieces if one.number < number)
        pieces = (*kept, Piece(number=number, text=piece.text, ai=False))
        return structs.replace(turn, pieces=pieces, final=number)
    if turn.final is not None and piece.number > turn.final:
        return turn
    if piece.final:
        turn = structs.replace(turn, final=max(piece.number, turn.released - 1))
    known = {one.number for one in turn.pieces}
    if piece.number < turn.released or piece.number in known:
        return turn
    pieces = (*turn.pieces, Piece(number=piece.number, text=piece.text))
    return structs.replace(turn, pieces=tuple(sorted(pieces, key=lambda one: one.number)))


def _ended(turn: Turn, text: str) -> Turn:
    """End an answer here with a fixed text; what was not released of it is dropped."""
    last = Piece(number=turn.released, text=text, ai=False)
    return structs.replace(turn, pieces=(last,), final=turn.released)


# -- what became of a delivery --------------------------------------------------------------


def settle(talk: Conversation | None, result: DeliveryResult, rules: Rules) -> Step:
    """Release the next piece, or close the turn and open the next with all that waits."""
    if talk is None or talk.out is None or talk.out.id != result.delivery_id:
        return Step(None, outbox(talk, rules))
    answered = talk.out
    served = answered.waiting if result.via == "passive" else ()
    left = tuple(one for one in talk.collect if one not in served)
    after = structs.replace(talk, out=None, parked=result.parked, collect=left)
    if talk.turn is not None and answered.kind != "collect" and answered.final:
        after = _close(after, talk.turn, rules)
    return _advance(talk, after, rules)


def _close(talk: Conversation, turn: Turn, rules: Rules) -> Conversation:
    """End a turn: its question and answer become history."""
    history = talk.history
    if turn.kind == "question" and turn.said:
        history = (*history, Prompt("user", turn.question), Prompt("assistant", turn.said))
    elif turn.kind == "reset":
        history = ()
    kept = history[-rules.settings.max_messages :] if rules.settings.max_messages else ()
    return structs.replace(talk, turn=None, history=kept, active_ms=rules.now_ms)


# -- the deadline ---------------------------------------------------------------------------


def expire(talk: Conversation | None, timeout: TurnTimeout, rules: Rules) -> Step:
    """Answer a turn whose model has not finished in time with the apology, and close it."""
    turn = talk.turn if talk else None
    if talk is None or turn is None or turn_id_of(talk, turn) != timeout.turn_id:
        return Step(None, outbox(talk, rules))
    if rules.now_ms < turn.deadline_ms - 1000:
        return Step(None, outbox(talk, rules))
    return _with_outbox(_advance(talk, _given_up(talk, rules), rules), rules)


def _given_up(talk: Conversation, rules: Rules) -> Conversation:
    """End the turn with the apology, unless all of its answer is here and is being delivered."""
    turn = talk.turn
    if turn is None or _is_whole(turn):
        return talk
    ended = structs.replace(_ended(turn, rules.settings.apology), attempt=GIVEN_UP)
    return structs.replace(talk, turn=ended)


def due_ms(talk: Conversation, rules: Rules) -> int | None:
    """Return when what is in flight should be over; None where nothing is."""
    if talk.turn is not None:
        return talk.turn.deadline_ms
    if talk.out is not None:
        return talk.active_ms + int(rules.settings.turn_timeout * 1000)
    return None


def _is_late(talk: Conversation, rules: Rules) -> bool:
    """Whether a timer or a publication must have been lost, so that nobody else will go on."""
    due = due_ms(talk, rules)
    return due is not None and rules.now_ms > due + GRACE_MS


# -- what follows ---------------------------------------------------------------------------


def _advance(before: Conversation, talk: Conversation, rules: Rules) -> Step:
    """Do all that can be done now: collect, release, close, open. Then say what is new."""
    while talk.out is None:
        after = _collect(talk) or _release(talk, rules) or _open(talk, rules)
        if after is None:
            break
        talk = after
    if talk == before:
        return Step(None, outbox(talk, rules))
    return Step(talk, news(before, talk, rules))


def _with_outbox(step: Step, rules: Rules) -> Step:
    """Publish all that is pending, not only what is new: what was lost is thereby replaced."""
    return step if step.document is None else Step(step.document, outbox(step.document, rules))


def _collect(talk: Conversation) -> Conversation | None:
    """Hand what is parked to those who came for it (or let them go, when nothing is)."""
    if not talk.collect or (talk.turn is not None and not talk.parked):
        return None
    turn = ids.turn_id(account=talk.account, conv=talk.conv, number=talk.turns)
    out = Delivery(
        id=f"{turn}.collect.{talk.collect[-1].msgid}",
        account=talk.account,
        conv=talk.conv,
        openid=talk.openid,
        turn_id=turn,
        kind="collect",
        waiting=talk.collect,
    )
    return structs.replace(talk, out=out, collect=())


def _release(talk: Conversation, rules: Rules) -> Conversation | None:
    """Release every piece that is next, as one delivery; close a turn that has no more."""
    turn = talk.turn
    if turn is None:
        return None
    if turn.final is not None and turn.released > turn.final:
        return _close(talk, turn, rules)
    ready = _next_pieces(turn)
    if not ready:
        return None
    text = "\n\n".join(piece.text for piece in ready)
    last = ready[-1].number
    turn = structs.replace(
        turn,
        pieces=tuple(piece for piece in turn.pieces if piece.number > last),
        released=last + 1,
        deliveries=turn.deliveries + 1,
        said="\n\n".join(filter(None, (turn.said, text if ready[0].ai else ""))),
    )
    out = Delivery(
        id=f"{turn_id_of(talk, turn)}.{turn.deliveries}",
        account=talk.account,
        conv=talk.conv,
        openid=talk.openid,
        turn_id=turn_id_of(talk, turn),
        kind="answer" if ready[0].ai else "notice",
        text=text,
        final=turn.final == last,
        ai=ready[0].ai,
        waiting=turn.waiting,
        parked=talk.parked,
    )
    return structs.replace(talk, turn=turn, out=out)


def _next_pieces(turn: Turn) -> tuple[Piece, ...]:
    """Return the unbroken run of pieces from the next number on, of one kind of author."""
    ready: list[Piece] = []
    for piece in turn.pieces:
        if piece.number != turn.released + len(ready):
            break
        if ready and piece.ai != ready[0].ai:
            break
        ready.append(piece)
    return tuple(ready)


def _open(talk: Conversation, rules: Rules) -> Conversation | None:
    """Open ONE turn with all questions that wait: people send three messages where one would do."""
    if talk.turn is not None or not talk.queue:
        return None
    first, count = talk.queue[0], 1
    if first.kind == "question":
        while count < len(talk.queue) and talk.queue[count].kind == "question":
            count += 1
    taken = talk.queue[:count]
    waiting = tuple(one for asked in taken for one in asked.waiting)[-MAX_WAITING:]
    silent = rules.now_ms - talk.active_ms > rules.settings.session_ttl * 1000
    turn = Turn(
        number=talk.turns + 1,
        kind=first.kind,
        question="\n".join(asked.text for asked in taken),
        waiting=waiting,
        deadline_ms=rules.now_ms + int(rules.settings.turn_timeout * 1000),
        traceparent=taken[-1].traceparent,
    )
    if first.kind != "question":
        turn = _ended(turn, first.text)
    return structs.replace(
        talk,
        queue=talk.queue[count:],
        turns=turn.number,
        turn=turn,
        history=() if silent else talk.history,
        active_ms=rules.now_ms,
    )
