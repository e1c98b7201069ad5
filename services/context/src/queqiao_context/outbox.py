"""What must be published: it follows from the document alone, so nothing is left undone.

A process that dies after writing the document leaves an event that comes again, changes nothing,
and has all of this published once more under the same ids.
"""

from collections.abc import Sequence

from queqiao_common import ids
from queqiao_common.events import CompletionRequest, Event, TurnTimeout
from queqiao_common.worker import Outgoing

from queqiao_context.document import Conversation, Turn
from queqiao_context.prompt import build_prompt
from queqiao_context.rules import Rules

MARGIN_MS = 1500
"""What the model's deadline leaves for its last words to arrive before the turn's own deadline."""


def outbox(talk: Conversation | None, rules: Rules) -> tuple[Event | Outgoing, ...]:
    """Return everything that the document says is not yet known to have been handled.

    An entry leaves by the event that proves it was handled: a piece of the answer proves the
    request, the result proves the delivery.
    """
    if talk is None:
        return ()
    pending: list[Event | Outgoing] = []
    if talk.turn is not None and talk.turn.attempt == 0 and talk.turn.kind == "question":
        pending += _question(talk, talk.turn, rules)
    if talk.out is not None:
        parent = _parent(talk.turn.traceparent) if talk.turn else None
        pending.append(Outgoing(talk.out, parent=parent))
    return tuple(pending)


def news(before: Conversation, after: Conversation, rules: Rules) -> tuple[Event | Outgoing, ...]:
    """Return what entered the outbox between two states of a document."""
    news: list[Event | Outgoing] = []
    turn = after.turn
    if turn is not None and turn.kind == "question" and turn.number > before.turns:
        news += _question(after, turn, rules)
    if after.out is not None and (before.out is None or before.out.id != after.out.id):
        opened = turn is not None and turn.number > before.turns
        parent = _parent(turn.traceparent) if turn is not None and opened else None
        news.append(Outgoing(after.out, parent=parent))
    return tuple(news)


def _question(talk: Conversation, turn: Turn, rules: Rules) -> Sequence[Outgoing]:
    """The request for a completion, and the timer that ends the turn without one."""
    turn_id, parent = turn_id_of(talk, turn), _parent(turn.traceparent)
    request = CompletionRequest(
        id=f"req:{turn_id}",
        account=talk.account,
        conv=talk.conv,
        turn_id=turn_id,
        route=rules.route,
        deadline_ms=turn.deadline_ms - MARGIN_MS,
        prompt=build_prompt(
            persona=rules.persona,
            history=talk.history,
            question=turn.question,
            max_messages=rules.settings.max_messages,
            max_tokens=rules.settings.max_tokens,
        ),
    )
    timeout = TurnTimeout(
        id=f"due:{turn_id}", account=talk.account, conv=talk.conv, turn_id=turn_id
    )
    return (
        Outgoing(request, parent=parent),
        Outgoing(timeout, parent=parent, due_ms=turn.deadline_ms),
    )


def turn_id_of(talk: Conversation, turn: Turn) -> str:
    """Return the id of a conversation's turn."""
    return ids.turn_id(account=talk.account, conv=talk.conv, number=turn.number)


def _parent(traceparent: str) -> dict[str, str] | None:
    return {"traceparent": traceparent} if traceparent else None
