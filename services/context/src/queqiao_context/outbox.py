"""What must be published: it follows from the document alone, so nothing is left undone.

A process that dies after writing the document leaves an event that comes again, changes nothing,
and has all of this published once more under the same ids.
"""

from collections.abc import Sequence

from queqiao_common import ids
from queqiao_common.events import CompletionRequest, Event, Prompt, TurnTimeout
from queqiao_common.worker import Outgoing

from queqiao_context.document import Conversation, Summing, Turn
from queqiao_context.prompt import PICTURE, build_prompt, recollection
from queqiao_context.rules import FactsNeeded, Rules
from queqiao_context.summary import summary_prompt

MARGIN_MS = 1500
"""What the model's deadline leaves for its last words to arrive before the turn's own deadline."""
SUMMARY_MS = 120_000
"""How long a model may take for a summary: nobody waits for it."""


def outbox(talk: Conversation | None, rules: Rules) -> tuple[Event | Outgoing, ...]:
    """Return everything that the document says is not yet known to have been handled.

    An entry leaves by the event that proves it was handled: a piece of the answer proves the
    request, the result proves the delivery, the summary proves that it was asked for.

    Raises:
        FactsNeeded: a question is among it, and the notes have not been read.
    """
    if talk is None:
        return ()
    pending: list[Event | Outgoing] = []
    if talk.turn is not None and talk.turn.attempt == 0 and talk.turn.kind == "question":
        pending += _question(talk, talk.turn, rules)
    if talk.out is not None:
        parent = _parent(talk.turn.traceparent) if talk.turn else None
        pending.append(Outgoing(talk.out, parent=parent))
    pending += _gathering(talk)
    if talk.summing is not None and not talk.summing.failed:
        pending.append(_summary(talk, talk.summing, rules))
    return tuple(pending)


def news(before: Conversation, after: Conversation, rules: Rules) -> tuple[Event | Outgoing, ...]:
    """Return what entered the outbox between two states of a document.

    Raises:
        FactsNeeded: as `outbox`.
    """
    news: list[Event | Outgoing] = []
    turn = after.turn
    if turn is not None and turn.kind == "question" and turn.number > before.turns:
        news += _question(after, turn, rules)
    if after.out is not None and (before.out is None or before.out.id != after.out.id):
        opened = turn is not None and turn.number > before.turns
        parent = _parent(turn.traceparent) if turn is not None and opened else None
        news.append(Outgoing(after.out, parent=parent))
    if gathering_until(after) != gathering_until(before):
        news += _gathering(after)
    summing = after.summing
    if summing and (before.summing is None or before.summing.upto != summing.upto):
        news.append(_summary(after, summing, rules))
    return tuple(news)


def _question(talk: Conversation, turn: Turn, rules: Rules) -> Sequence[Outgoing]:
    """The request for a completion, and the timer that ends the turn without one."""
    turn_id, parent = turn_id_of(talk, turn), _parent(turn.traceparent)
    name, persona = rules.persona_of(talk.persona)
    request = CompletionRequest(
        id=f"req:{turn_id}",
        account=talk.account,
        conv=talk.conv,
        turn_id=turn_id,
        route=persona.route,
        deadline_ms=turn.deadline_ms - MARGIN_MS,
        prompt=build_prompt(
            persona=persona.prompt,
            remembered=recollection(
                summary=talk.summary, facts=_facts(rules), max_tokens=rules.settings.max_tokens
            ),
            history=talk.history,
            question=Prompt("user", turn.question or PICTURE, media=turn.media),
            max_messages=rules.settings.max_messages,
            max_tokens=rules.settings.max_tokens,
        ),
        persona=name,
        window_ms=_window_end(turn, rules),
        menu_id=turn.menu_id,
    )
    timeout = TurnTimeout(
        id=f"due:{turn_id}", account=talk.account, conv=talk.conv, turn_id=turn_id
    )
    return (
        Outgoing(request, parent=parent),
        Outgoing(timeout, parent=parent, due_ms=turn.deadline_ms),
    )


def _facts(rules: Rules) -> tuple[str, ...]:
    if not rules.notes.enabled:
        return ()
    if rules.facts is None:
        raise FactsNeeded
    return rules.facts


def _window_end(turn: Turn, rules: Rules) -> int:
    """Return when the request of the newest message is answered at the latest; 0: none is open."""
    if not rules.window_ms or not turn.waiting:
        return 0
    return max(one.received_ms for one in turn.waiting) + rules.window_ms


def _summary(talk: Conversation, summing: Summing, rules: Rules) -> Event:
    """The request for a summary of what has fallen out, with the one that is to be continued."""
    _, persona = rules.persona_of(talk.persona)
    turn_id = ids.turn_id(account=talk.account, conv=talk.conv, number=summing.upto)
    return CompletionRequest(
        id=f"sum:{turn_id}",
        account=talk.account,
        conv=talk.conv,
        turn_id=turn_id,
        route=rules.notes.summary_route or persona.route,
        deadline_ms=summing.asked_ms + SUMMARY_MS,
        prompt=summary_prompt(
            talk.fallen[: summing.count],
            earlier=talk.summary,
            wants_facts=rules.notes.enabled,
        ),
        purpose="summary",
        upto=summing.upto,
    )


# -- pictures that wait for more ------------------------------------------------------------


def gathering_until(talk: Conversation) -> int | None:
    """Return until when pictures without words wait for more; None where nothing waits.

    Whatever else is sent ends the waiting at once.
    """
    if talk.turn is not None or talk.out is not None or not talk.queue:
        return None
    if not all(asked.media and not asked.text for asked in talk.queue):
        return None
    return max(asked.hold_ms for asked in talk.queue)


def gathering_id(talk: Conversation, until: int) -> str:
    """Return the id of the timer that ends one such waiting."""
    return f"gather:{_next_turn(talk)}:{until}"


def _gathering(talk: Conversation) -> Sequence[Outgoing]:
    until = gathering_until(talk)
    if until is None:
        return ()
    timer = TurnTimeout(
        id=gathering_id(talk, until),
        account=talk.account,
        conv=talk.conv,
        turn_id=_next_turn(talk),
    )
    return (Outgoing(timer, parent=_parent(talk.queue[-1].traceparent), due_ms=until),)


def _next_turn(talk: Conversation) -> str:
    return ids.turn_id(account=talk.account, conv=talk.conv, number=talk.turns + 1)


def turn_id_of(talk: Conversation, turn: Turn) -> str:
    """Return the id of a conversation's turn."""
    return ids.turn_id(account=talk.account, conv=talk.conv, number=turn.number)


def _parent(traceparent: str) -> dict[str, str] | None:
    return {"traceparent": traceparent} if traceparent else None
