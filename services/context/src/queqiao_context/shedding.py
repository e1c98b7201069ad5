"""What is turned away when too many turns wait for a model: the cheapest first. Pure.

First questions that the user has asked already: what they wait for, or have just read, is the
answer. Then questions of users who have no talk to lose. A turn in flight never.
"""

from collections.abc import Iterable

from msgspec import structs
from queqiao_common.events import Waiting

from queqiao_context.asking import MAX_WAITING, enqueue, is_silent
from queqiao_context.document import Asked, Conversation, Turn
from queqiao_context.overload import Shed
from queqiao_context.rules import Rules


def take_in(talk: Conversation, asked: Asked, rules: Rules) -> Conversation:
    """Queue what is asked, or in its place what can be had for less."""
    if asked.kind != "question" or rules.shed is Shed.NOTHING:
        return enqueue(talk, asked, rules)
    merged = _merged(talk, asked)
    if merged is not None:
        return merged
    if _is_answered(talk, asked, rules) or (rules.shed is Shed.NEW and _is_new(talk, rules)):
        patience = Asked(
            kind="notice",
            text=rules.settings.overloaded,
            waiting=asked.waiting,
            traceparent=asked.traceparent,
            peer=asked.peer,
        )
        return enqueue(talk, patience, rules) if patience.text else talk
    return enqueue(talk, asked, rules)


def _merged(talk: Conversation, asked: Asked) -> Conversation | None:
    """Let the answer that is on its way to the same question be the answer; None: there is none.

    One that has left already reaches nobody else: its last delivery names whom it is for.
    """
    has_left = talk.out is not None and talk.out.final
    if talk.turn is not None and not has_left and _is_asked_by(talk.turn, asked):
        waiting = _together(talk.turn.waiting, asked.waiting)
        return structs.replace(talk, turn=structs.replace(talk.turn, waiting=waiting))
    for number, one in enumerate(talk.queue):
        if one.kind == "question" and _is_same(one.text, asked) and not one.media:
            merged = structs.replace(one, waiting=_together(one.waiting, asked.waiting))
            queue = (*talk.queue[:number], merged, *talk.queue[number + 1 :])
            return structs.replace(talk, queue=queue)
    return None


def _is_asked_by(turn: Turn, asked: Asked) -> bool:
    """Whether a turn answers this too; it may be of several messages, each a line or more."""
    if turn.kind != "question" or turn.media or turn.peer != asked.peer:
        return False
    return any(_is_same(text, asked) for text in (turn.question, *turn.question.split("\n")))


def _is_answered(talk: Conversation, asked: Asked, rules: Rules) -> bool:
    """Whether it is what the user asked last, and has the answer to; the apology is none."""
    if talk.turn is not None and _is_asked_by(talk.turn, asked):
        return True  # on its way out by now
    if talk.failures or is_silent(talk, rules):
        return False
    questions = (one for one in reversed(talk.history) if one.role == "user")
    last = next(questions, None)
    return last is not None and not last.media and _is_same(last.content, asked)


def _is_new(talk: Conversation, rules: Rules) -> bool:
    """Whether the user has no talk that would be broken off."""
    if talk.turn or talk.queue:
        return False
    return not talk.history or is_silent(talk, rules)


def _is_same(text: str, asked: Asked) -> bool:
    if asked.media or asked.persona:
        return False
    return bool(asked.text.strip()) and _plain(text) == _plain(asked.text)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _together(*parts: Iterable[Waiting]) -> tuple[Waiting, ...]:
    return tuple(one for part in parts for one in part)[-MAX_WAITING:]
