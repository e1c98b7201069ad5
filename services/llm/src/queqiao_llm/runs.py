"""Runs of models for one turn, and what they say."""

from msgspec import Struct
from queqiao_common.events import CompletionRequest, ReplySegment, Summarised
from queqiao_common.worker import Received

from queqiao_llm.completion import Extras

RUNS = 100
"""Attempts are numbered so that a redelivered request begins above all runs of its last one."""

Turn = Received[CompletionRequest]


class Said(Struct, frozen=True):
    """A piece of an answer; `cut` when it is the last of one that a limit or a filter ended."""

    segment: ReplySegment
    cut: bool = False


def first_run(delivery: int) -> int:
    """Return the attempt of the first run for a delivery of the request (which count from 1)."""
    return (delivery - 1) * RUNS + 1


def notice_of(turn: Turn, text: str, extras: Extras | None = None) -> Said:
    """Return a text of ours that answers a turn; it is never kept as an answer."""
    request, attempt = turn.event, first_run(turn.attempt)
    extras = extras or Extras()
    segment = ReplySegment(
        id=f"rep:{request.turn_id}.{attempt}.0",
        account=request.account,
        conv=request.conv,
        turn_id=request.turn_id,
        number=0,
        attempt=attempt,
        text=text,
        final=True,
        notice=True,
        handover=extras.handover,
        notes=extras.notes,
        menu=extras.menu,
        cards=extras.cards,
        media=extras.media,
    )
    return Said(segment, cut=True)


def summarised(account: str, conv: str, upto: int, text: str = "") -> Summarised:
    """Return the summary of a conversation up to a turn; without a text, none was made."""
    name = f"summary:{account}.{conv}.{upto}"
    return Summarised(id=name, account=account, conv=conv, upto=upto, text=text)
