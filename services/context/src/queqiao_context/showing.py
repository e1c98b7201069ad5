"""The page of a long answer, as it follows from the turn that is being answered. Pure."""

from queqiao_common.pages import Page

from queqiao_context.document import Conversation
from queqiao_context.pieces import is_whole, unbroken
from queqiao_context.rules import Rules


def page_of(talk: Conversation, rules: Rules) -> Page | None:
    """Return the page that a turn has by now; None: its answer is too short to need one."""
    turn = talk.turn
    if turn is None or not turn.page:
        return None
    ahead = (piece.text for piece in unbroken(turn) if piece.ai)
    text = "\n\n".join(filter(None, (turn.said, *ahead)))
    if len(text.encode()) <= rules.pages.min_bytes:
        return None
    return Page(
        account=talk.account,
        text=text,
        is_final=is_whole(turn),
        created_ms=talk.active_ms,
        until_ms=talk.active_ms + int(rules.pages.ttl * 1000),
    )


def newer(shown: Page | None, page: Page) -> Page | None:
    """Return what is to be shown; None: a replica that knew more has shown it already."""
    if shown is None:
        return page
    return page if (page.is_final, len(page.text)) > (shown.is_final, len(shown.text)) else None
