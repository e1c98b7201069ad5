"""What stays of a conversation: its history, what has fallen out of it, and the summary of that.

Pure. A summary is asked for with what closes a turn, so nobody waits for it; until it comes, what
has fallen out stays in the document, within bounds. There is one request at a time. One that is
lost, or came back empty, is asked again when a later turn closes.
"""

from collections.abc import Sequence

from msgspec import structs
from queqiao_common.events import Prompt, Summarised

from queqiao_context.document import Asked, Conversation, Summing, Turn
from queqiao_context.prompt import PICTURE, fitting
from queqiao_context.rules import Rules
from queqiao_context.summary import parted

SHARE = 0.75
"""How much of the token budget the history may take for good: the rest is the question's."""
MAX_FALLEN = 60
"""Messages kept for the next summary."""
MAX_SUMMARY = 600
"""Characters of a summary; it is said again with every question."""
AGAIN_MS = 600_000
"""How long a summary is waited for, and how long after an empty one another is asked for."""


def remember(talk: Conversation, turn: Turn, rules: Rules) -> Conversation:
    """Make an answered question history, let the oldest fall out, and have that summarised."""
    if turn.number <= talk.forgotten or not turn.said:
        return talk
    question = Prompt("user", turn.question or PICTURE, media=turn.media)
    history = (*talk.history, question, Prompt("assistant", turn.said))
    settings = rules.settings
    history = _with_latest_pictures(history, settings.max_pictures)
    kept = _window(history, rules)
    keeps = rules.notes.summary and settings.max_messages > 0
    fallen = history[: len(history) - len(kept)] if keeps else ()
    return _ask(_fall(structs.replace(talk, history=kept), fallen), turn.number, rules)


def _window(history: Sequence[Prompt], rules: Rules) -> tuple[Prompt, ...]:
    """Return what stays before the model: the latest exchange at least, to be referred to."""
    settings = rules.settings
    kept = fitting(
        history,
        max_messages=settings.max_messages,
        max_tokens=int(settings.max_tokens * SHARE),
    )
    return kept if kept or settings.max_messages < 2 else tuple(history[-2:])


def _with_latest_pictures(history: Sequence[Prompt], left: int) -> tuple[Prompt, ...]:
    """Keep so many pictures, the newest: each costs as much as a page of text."""
    kept: list[Prompt] = []
    for message in reversed(history):
        media = message.media[len(message.media) - left :] if left < len(message.media) else None
        kept.append(message if media is None else structs.replace(message, media=media))
        left -= len(kept[-1].media)
    return tuple(reversed(kept))


def _fall(talk: Conversation, fallen: Sequence[Prompt]) -> Conversation:
    """Keep what fell out for the next summary; of too much the oldest is lost."""
    without_pictures = (structs.replace(message, media=()) for message in fallen)
    everything = (*talk.fallen, *without_pictures)
    lost = max(0, len(everything) - MAX_FALLEN)
    summing = talk.summing
    if summing is not None and lost:
        summing = structs.replace(summing, count=max(0, summing.count - lost))
    return structs.replace(talk, fallen=everything[lost:], summing=summing)


def _ask(talk: Conversation, turn: int, rules: Rules) -> Conversation:
    if len(talk.fallen) < rules.notes.summary_after:
        return talk
    if talk.summing is not None and rules.now_ms < talk.summing.asked_ms + AGAIN_MS:
        return talk
    summing = Summing(upto=turn, count=len(talk.fallen), asked_ms=rules.now_ms)
    return structs.replace(talk, summing=summing)


def take_summary(talk: Conversation, summarised: Summarised) -> Conversation:
    """Put a summary in the place of what it covers; one that nobody waits for changes nothing."""
    summing = talk.summing
    if summing is None or summing.failed or summing.upto != summarised.upto:
        return talk
    text = parted(summarised.text)[0][:MAX_SUMMARY]
    if not text:
        return structs.replace(talk, summing=structs.replace(summing, failed=True))
    return structs.replace(
        talk,
        summary=text,
        upto=summing.upto,
        fallen=talk.fallen[summing.count :],
        summing=None,
    )


def begun_anew(talk: Conversation) -> Conversation:
    """Forget what was said, as for a new session or another persona."""
    return structs.replace(talk, history=(), fallen=(), summary="", summing=None)


def forgotten(talk: Conversation) -> Conversation:
    """Forget the user: what was said, and what is being said.

    What waits for an answer still gets it, but leaves nothing behind. The place in the stream and
    the number of the turn stay, or messages would be answered again, under ids that were used.
    """
    queue = tuple(_not_to_be_kept(asked) for asked in talk.queue)
    return structs.replace(begun_anew(talk), queue=queue, forgotten=talk.turns)


def _not_to_be_kept(asked: Asked) -> Asked:
    return structs.replace(asked, forget=True)
