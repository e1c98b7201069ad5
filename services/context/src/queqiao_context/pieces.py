"""The pieces of an answer: recorded by number, of one run of the model at a time. Pure."""

from msgspec import structs
from queqiao_common.events import Card, ScreenedSegment, Verdict

from queqiao_context import handover
from queqiao_context.document import Conversation, Piece, Turn
from queqiao_context.rules import Rules

GIVEN_UP = 1 << 30
"""The attempt of a turn that has timed out: no model run is newer."""


def with_piece(talk: Conversation, turn: Turn, piece: ScreenedSegment, rules: Rules) -> Turn:
    """Return the turn with one more piece; the same where the piece adds nothing.

    A newer run of the model writes another text, so what an older one left unreleased is dropped,
    and of the newer one what was already said is skipped.
    """
    if piece.attempt < turn.attempt or (piece.attempt > turn.attempt and is_whole(turn)):
        return turn
    if piece.attempt > turn.attempt:
        turn = structs.replace(
            turn, attempt=piece.attempt, pieces=(), final=None, handover=False, postscript=""
        )
    if piece.failed or piece.verdict is Verdict.FAILED:
        return apologised(talk, turn, rules)
    if piece.handover and not turn.handover:
        turn = handover.wanted_by_model(turn, rules)
    if piece.verdict is Verdict.BLOCKED:
        return _blocked(turn, piece)
    return _recorded(turn, piece)


def _blocked(turn: Turn, piece: ScreenedSegment) -> Turn:
    """End the answer where moderation stopped it."""
    number = max(piece.number, turn.released)
    kept = tuple(one for one in turn.pieces if one.number < number)
    pieces = (*kept, Piece(number=number, text=piece.text, ai=False))
    return structs.replace(turn, pieces=pieces, final=number)


def _recorded(turn: Turn, piece: ScreenedSegment) -> Turn:
    if turn.final is not None and piece.number > turn.final:
        return turn
    if piece.final:
        turn = structs.replace(turn, final=max(piece.number, turn.released - 1))
    known = {one.number for one in turn.pieces}
    if piece.number < turn.released or piece.number in known:
        return turn
    new = Piece(
        number=piece.number,
        text=piece.text,
        ai=not piece.notice,
        menu=piece.menu,
        media=piece.media,
        cards=piece.cards,
    )
    pieces = tuple(sorted((*turn.pieces, new), key=lambda one: one.number))
    return structs.replace(turn, pieces=pieces)


def is_whole(turn: Turn) -> bool:
    """Whether the answer is complete, so that another run of the model has nothing to add."""
    if turn.final is None:
        return False
    return len(turn.pieces) == turn.final - turn.released + 1


def ended(turn: Turn, text: str, cards: tuple[Card, ...] = ()) -> Turn:
    """End an answer here with a fixed text; what was not released of it is dropped."""
    last = Piece(number=turn.released, text=text, ai=False, cards=cards)
    return structs.replace(turn, pieces=(last,), final=turn.released)


def apologised(talk: Conversation, turn: Turn, rules: Rules) -> Turn:
    """End an answer with the apology; after too many of them, with a person."""
    turn = structs.replace(ended(turn, rules.settings.apology), failed=True)
    return handover.after_failures(turn, talk.failures, rules)


def given_up(talk: Conversation, rules: Rules) -> Conversation:
    """End the turn with the apology, unless all of its answer is here and is being delivered."""
    turn = talk.turn
    if turn is None or is_whole(turn):
        return talk
    return structs.replace(
        talk, turn=structs.replace(apologised(talk, turn, rules), attempt=GIVEN_UP)
    )


def unbroken(turn: Turn) -> tuple[Piece, ...]:
    """Return the pieces from the next number on, as far as none is missing."""
    ready: list[Piece] = []
    for piece in turn.pieces:
        if piece.number != turn.released + len(ready):
            break
        ready.append(piece)
    return tuple(ready)


def next_delivery(turn: Turn) -> tuple[Piece, ...]:
    """Return the pieces that leave together: of one author, all spoken or none, a menu the last."""
    ready: list[Piece] = []
    for piece in unbroken(turn):
        if ready and (piece.ai, bool(piece.media)) != (ready[0].ai, bool(ready[0].media)):
            break
        ready.append(piece)
        if piece.menu is not None:
            break
    return tuple(ready)
