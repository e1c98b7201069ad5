"""Turns: opened with all that waits, released piece by piece, closed into history. Pure.

One turn is in flight at a time, and within it one delivery.
"""

from msgspec import structs
from queqiao_common import ids
from queqiao_common.events import Delivery

from queqiao_context import handover, memory
from queqiao_context.asking import MAX_WAITING, is_silent
from queqiao_context.document import Asked, Conversation, Turn
from queqiao_context.outbox import gathering_until, turn_id_of
from queqiao_context.pieces import ended, next_delivery
from queqiao_context.rules import Rules


def advance(talk: Conversation, rules: Rules) -> Conversation:
    """Do all that can be done now: collect, release, close, open."""
    while talk.out is None:
        after = _collect(talk) or _release(talk, rules) or _open(talk, rules)
        if after is None:
            break
        talk = after
    return talk


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
    """Release what is next as one delivery; close a turn that has no more."""
    turn = talk.turn
    if turn is None:
        return None
    if turn.final is not None and turn.released > turn.final:
        return close(talk, turn, rules)
    ready = next_delivery(turn)
    if not ready:
        return None
    text = "\n\n".join(filter(None, (piece.text for piece in ready)))
    last, is_ai = ready[-1], ready[0].ai
    turn = structs.replace(
        turn,
        pieces=tuple(piece for piece in turn.pieces if piece.number > last.number),
        released=last.number + 1,
        deliveries=turn.deliveries + 1,
        said="\n\n".join(filter(None, (turn.said, text if is_ai else ""))),
    )
    is_final = turn.final == last.number
    out = Delivery(
        id=f"{turn_id_of(talk, turn)}.{turn.deliveries}",
        account=talk.account,
        conv=talk.conv,
        openid=talk.openid,
        turn_id=turn_id_of(talk, turn),
        kind="answer" if is_ai else "notice",
        text="\n\n".join(filter(None, (text, turn.postscript if is_final else ""))),
        final=is_final,
        ai=is_ai,
        waiting=turn.waiting,
        parked=talk.parked,
        peer=turn.peer,
        page=turn.page if has_page(turn, rules) else "",
        transfer=is_final and (turn.handover or turn.kind in {"handover", "transfer"}),
        back=talk.back,
        menu=last.menu,
        media=tuple(media for piece in ready for media in piece.media),
        cards=tuple(card for piece in ready for card in piece.cards),
    )
    return structs.replace(talk, turn=turn, out=out, back=False)


def has_page(turn: Turn, rules: Rules) -> bool:
    """Whether what has been said is so long that it has a page of its own."""
    return bool(turn.page) and len(turn.said.encode()) > rules.pages.min_bytes


def close(talk: Conversation, turn: Turn, rules: Rules) -> Conversation:
    """End a turn: its question and answer become history, and its user perhaps another's."""
    talk = structs.replace(talk, turn=None, active_ms=rules.now_ms)
    if turn.kind == "reset":
        talk = memory.begun_anew(talk)
    elif turn.kind == "question":
        failures = talk.failures + 1 if turn.failed else 0
        talk = memory.remember(structs.replace(talk, failures=failures), turn, rules)
    if turn.handover or turn.kind == "handover":
        talk = handover.hand_over(talk, handover.reason(turn), rules)
    return talk


def handed_over(talk: Conversation, turn: Turn, rules: Rules, *, failed: bool) -> Conversation:
    """Note what became of a delivery that was for a person; say so where it did not get there."""
    is_attempt = turn.kind in {"handover", "transfer"}
    if not failed:
        return handover.reached(talk) if is_attempt or turn.handover else talk
    if not is_attempt:
        return talk
    is_reached = talk.handed is not None and talk.handed.reached
    text = rules.handover.missed if is_reached else rules.handover.unavailable
    if not is_reached:
        talk = handover.take_back(talk, tell=False)
    said = Asked(kind="notice", text=text, waiting=turn.waiting, peer=turn.peer)
    return structs.replace(talk, queue=(said, *talk.queue))


def _open(talk: Conversation, rules: Rules) -> Conversation | None:
    """Open ONE turn with all questions that wait: people send three messages where one would do.

    Pictures without words wait a moment for them, and for more pictures.
    """
    if talk.turn is not None or not talk.queue:
        return None
    if (until := gathering_until(talk)) is not None and rules.now_ms < until:
        return None
    taken = _together(talk.queue)
    left = structs.replace(talk, queue=talk.queue[len(taken) :])
    first = taken[0]
    if talk.handed is not None and first.kind in {"question", "reset", "handover"}:
        return _passed_on(talk, left, rules)
    left = _prepared(left, first, rules)
    if first.kind == "notice" and not (first.text or first.cards):
        return left  # a switch of the persona of which nothing is said
    return _opened(left, taken, rules)


def _together(queue: tuple[Asked, ...]) -> tuple[Asked, ...]:
    """Return what is answered together: the first thing asked and, if a question, more of them."""
    first, count = queue[0], 1
    if first.kind == "question":
        while count < len(queue) and _belongs(queue[count], first):
            count += 1
    return queue[:count]


def _belongs(asked: Asked, first: Asked) -> bool:
    return asked.kind == "question" and asked.peer == first.peer and not asked.persona


def _passed_on(talk: Conversation, left: Conversation, rules: Rules) -> Conversation:
    """What was asked before the user was handed over is the person's to answer, one by one."""
    if rules.agents != "each":
        return left  # they see the whole chat
    first, *others = talk.queue
    passed = Asked(
        kind="transfer",
        text="",
        waiting=first.waiting,
        traceparent=first.traceparent,
        peer=first.peer,
    )
    return structs.replace(talk, queue=(passed, *others))


def _prepared(talk: Conversation, first: Asked, rules: Rules) -> Conversation:
    """Bring the conversation to where a turn begins: its session, its persona, who talks."""
    if is_silent(talk, rules):
        talk = memory.begun_anew(talk)
    if first.persona:
        before, _ = rules.persona_of(talk.persona)
        # One persona must not go on with what another has talked about.
        talk = talk if first.persona == before else memory.begun_anew(talk)
        talk = structs.replace(talk, persona=first.persona)
    return handover.take_back(talk, tell=True) if first.kind == "back" else talk


def _opened(talk: Conversation, taken: tuple[Asked, ...], rules: Rules) -> Conversation:
    first, last = taken[0], taken[-1]
    is_question = first.kind == "question"
    turn = Turn(
        number=talk.turns + 1,
        kind=first.kind,
        question="\n".join(asked.text for asked in taken if asked.text) if is_question else "",
        waiting=tuple(one for asked in taken for one in asked.waiting)[-MAX_WAITING:],
        deadline_ms=rules.now_ms + int(rules.settings.turn_timeout * 1000),
        traceparent=last.traceparent,
        media=tuple(key for asked in taken for key in asked.media),
        menu_id=last.menu_id if len(taken) == 1 else "",
        peer=last.peer,
        page=rules.page_id if is_question and rules.pages.base_url else "",
    )
    return structs.replace(
        talk,
        turns=turn.number,
        turn=turn if is_question else ended(turn, first.text, first.cards),
        forgotten=turn.number if any(asked.forget for asked in taken) else talk.forgotten,
        active_ms=rules.now_ms,
    )
