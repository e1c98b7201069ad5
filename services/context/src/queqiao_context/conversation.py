"""The conversation's state machine: document and event in, document and events out.

Pure, because compare-and-swap calls it again for the loser of a race, and because any replica may
handle any event in any order and more than once. What must be published next always follows from
the document (`outbox`), so that a process which dies after writing it leaves nothing undone: the
event it was handling comes again, changes nothing, and the outbox is published again under the
same ids.

What a message asks for is decided in `asking`, what too many must do without in `shedding`, what
becomes of an answer's pieces in `pieces`, how turns open and close in `turns`, who talks to the
user in `handover`, what stays in `memory`.
"""

from dataclasses import dataclass

from msgspec import structs
from queqiao_common.events import (
    DeliveryResult,
    Event,
    ScreenedMessage,
    ScreenedSegment,
    Summarised,
    TurnTimeout,
    Waiting,
)
from queqiao_common.worker import Outgoing

from queqiao_context import handover, memory
from queqiao_context.asking import MAX_WAITING, asked_for, forgets, is_fetch
from queqiao_context.chain import Chain, Doubt, Gap
from queqiao_context.document import VERSION, Arrival, Conversation
from queqiao_context.outbox import gathering_id, gathering_until, news, outbox, turn_id_of
from queqiao_context.pieces import given_up, with_piece
from queqiao_context.rules import Rules
from queqiao_context.shedding import take_in
from queqiao_context.turns import advance, close, handed_over

GRACE_MS = 5000
"""How long after its deadline a turn is still expected to be ended by its timer."""
VERDICT_MS = 300_000
"""How long a message waits for the verdict on an earlier one: longer than all of moderation's
attempts at it, and than those at its media."""


@dataclass(frozen=True, slots=True)
class Step:
    """The document after an event (None: unchanged), and what is to be published."""

    document: Conversation | None
    publish: tuple[Event | Outgoing, ...] = ()


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
        FactsNeeded: the notes about the user must be read first (so do the other functions).
    """
    talk = talk or _begun(screened, rules)
    if talk.epoch != rules.epoch:
        if not sure:
            raise Doubt
        talk = structs.replace(talk, epoch=rules.epoch, cursor=0, early=())
    if screened.sequence <= talk.cursor:
        return Step(None, outbox(talk, rules))
    latest = max(screened.sequence, *(one.screened.sequence for one in talk.early), 0)
    if chain is None or not chain.covers(talk.cursor, latest):
        raise Gap(talk.cursor, latest)
    before, is_late = talk, _is_late(talk, rules)
    if is_late:
        talk = given_up(talk, rules)
    arrival = Arrival(screened=screened, traceparent=traceparent, since_ms=rules.now_ms)
    step = _advanced(before, _taken(talk, chain, arrival, rules=rules), rules)
    return _with_outbox(step, rules) if is_late else step


def _taken(talk: Conversation, chain: Chain, *arrived: Arrival, rules: Rules) -> Conversation:
    """Absorb what can be absorbed: the messages next in order whose verdict is known."""
    known = (*arrived, *chain.verdicts, *talk.early)  # of two on one message, the later one rules
    arrivals = {one.screened.sequence: one for one in known}
    for sequence in chain.sequences:
        if sequence > talk.cursor:
            if sequence not in arrivals:
                break
            talk = _take(talk, arrivals.pop(sequence), rules)
    early = tuple(arrivals[one] for one in sorted(arrivals) if one > talk.cursor)
    return structs.replace(talk, early=early)


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
    if message.kind != "platform_event":
        talk = handover.seen(talk, rules)
    waiting = Waiting(
        msgid=message.msgid,
        received_ms=message.received_ms,
        trigger=message.trigger,
        ticket=message.ticket,
        sent_ms=message.sent_ms,
    )
    if talk.handed is None and _wants_parked(talk, screened, rules):
        talk = structs.replace(talk, collect=(*talk.collect, waiting)[-MAX_WAITING:])
        if is_fetch(screened, rules):
            return _let_turn_answer(talk, waiting)
    asked = asked_for(talk, screened, rules)
    talk = _moved(talk, screened, rules)
    if asked is None:
        return talk
    if asked.kind == "back":
        talk = handover.take_back(talk, tell=message.kind != "platform_event")
    asked = structs.replace(
        asked, waiting=(waiting,), traceparent=arrival.traceparent, peer=message.peer
    )
    return take_in(talk, asked, rules)


def _moved(talk: Conversation, screened: ScreenedMessage, rules: Rules) -> Conversation:
    """Follow what a message says beside what it asks for: who talks to the user, what may stay."""
    message = screened.message
    if message is not None and handover.begun_by_platform(message):
        talk = handover.reached(handover.hand_over(talk, "agent", rules))
    if forgets(screened, rules):
        talk = memory.forgotten(talk)
    if message is not None and message.platform_event == "unsubscribe":
        talk = structs.replace(handover.take_back(talk, tell=False), persona="", failures=0)
    return talk


def _wants_parked(talk: Conversation, screened: ScreenedMessage, rules: Rules) -> bool:
    """Whether this message's open request should carry what is, or soon will be, parked."""
    if talk.parked > 0:
        return True
    busy = talk.turn is not None or talk.out is not None
    return rules.passive_only and busy and is_fetch(screened, rules)


def _let_turn_answer(talk: Conversation, waiting: Waiting) -> Conversation:
    """A fetch word sent while the answer is being written: its request may carry that answer."""
    if talk.turn is None:
        return talk
    merged = (*talk.turn.waiting, waiting)[-MAX_WAITING:]
    return structs.replace(talk, turn=structs.replace(talk.turn, waiting=merged))


# -- a piece of an answer -------------------------------------------------------------------


def record(talk: Conversation | None, piece: ScreenedSegment, rules: Rules) -> Step:
    """Record a piece by its number, and release it when it is the next and nothing is out."""
    turn = talk.turn if talk else None
    if talk is None or turn is None or turn_id_of(talk, turn) != piece.turn_id:
        return Step(None, outbox(talk, rules))
    recorded = with_piece(talk, turn, piece, rules)
    if recorded == turn:
        return Step(None, outbox(talk, rules))
    return _advanced(talk, structs.replace(talk, turn=recorded), rules)


# -- what became of a delivery --------------------------------------------------------------


def settle(talk: Conversation | None, result: DeliveryResult, rules: Rules) -> Step:
    """Release the next piece, or close the turn and open the next with all that waits."""
    if talk is None or talk.out is None or talk.out.id != result.delivery_id:
        return Step(None, outbox(talk, rules))
    answered, turn = talk.out, talk.turn
    served = answered.waiting if result.via == "passive" else ()
    left = tuple(one for one in talk.collect if one not in served)
    after = structs.replace(talk, out=None, parked=result.parked, collect=left)
    if turn is not None and answered.kind != "collect" and answered.final:
        after = close(after, turn, rules)
        is_failed = result.status == "failed" or result.unreached
        after = handed_over(after, turn, rules, failed=is_failed)
    return _advanced(talk, after, rules)


# -- a summary ------------------------------------------------------------------------------


def summarise(talk: Conversation | None, summarised: Summarised, rules: Rules) -> Step:
    """Put the summary in the place of what it covers."""
    after = None if talk is None else memory.take_summary(talk, summarised)
    if after is None or after == talk:
        return Step(None, outbox(talk, rules))
    return Step(after)


# -- the deadline ---------------------------------------------------------------------------


def expire(
    talk: Conversation | None, timeout: TurnTimeout, rules: Rules, chain: Chain | None = None
) -> Step:
    """Answer a turn whose model has not finished in time with the apology, and close it.

    Or: open the turn of pictures that have waited long enough for more. Or: go on without a verdict
    that has not come, as far as `chain` has another in its place.

    Raises:
        Gap: messages have waited too long for such a verdict, and `chain` does not cover them.
    """
    if talk is None:
        return Step(None)
    if _is_stuck(talk, rules):
        latest = talk.early[-1].screened.sequence
        if chain is None or not chain.covers(talk.cursor, latest):
            raise Gap(talk.cursor, latest)
        after = _taken(talk, chain, rules=rules)
        if after.cursor > talk.cursor:
            return _with_outbox(_advanced(talk, after, rules), rules)
    until = gathering_until(talk)
    if until is not None:
        is_over = rules.now_ms >= until or timeout.id == gathering_id(talk, until)
        # The broker's clock rules: were ours behind it, the timer would be set again and again.
        then = structs.replace(rules, now_ms=max(rules.now_ms, until))
        return _advanced(talk, talk, then) if is_over else Step(None, outbox(talk, rules))
    turn = talk.turn
    if turn is None or turn_id_of(talk, turn) != timeout.turn_id:
        return Step(None, outbox(talk, rules))
    if rules.now_ms < turn.deadline_ms - 1000:
        return Step(None, outbox(talk, rules))
    return _with_outbox(_advanced(talk, given_up(talk, rules), rules), rules)


def due_ms(talk: Conversation, rules: Rules) -> int | None:
    """Return when what is in flight, or waits, should be over; None where nothing is or does."""
    if talk.turn is not None:
        return talk.turn.deadline_ms
    if talk.out is not None:
        return talk.active_ms + int(rules.settings.turn_timeout * 1000)
    until = gathering_until(talk)
    return until if until is not None else _verdict_due_ms(talk)


def _verdict_due_ms(talk: Conversation) -> int | None:
    """Return until when earlier messages are waited for; None where none are."""
    waits = (one.since_ms for one in talk.early if one.since_ms)
    first = min(waits, default=None)
    return None if first is None else first + VERDICT_MS


def _is_stuck(talk: Conversation, rules: Rules) -> bool:
    due = _verdict_due_ms(talk)
    return due is not None and rules.now_ms >= due


def _is_late(talk: Conversation, rules: Rules) -> bool:
    """Whether a timer or a publication must have been lost, so that nobody else will go on."""
    due = due_ms(talk, rules)
    return due is not None and rules.now_ms > due + GRACE_MS


# -- what follows ---------------------------------------------------------------------------


def _advanced(before: Conversation, talk: Conversation, rules: Rules) -> Step:
    """Do all that can be done now, and say what is new."""
    talk = advance(talk, rules)
    if talk == before:
        return Step(None, outbox(talk, rules))
    return Step(talk, news(before, talk, rules))


def _with_outbox(step: Step, rules: Rules) -> Step:
    """Publish all that is pending, not only what is new: what was lost is thereby replaced."""
    return step if step.document is None else Step(step.document, outbox(step.document, rules))
