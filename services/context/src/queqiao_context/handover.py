"""A user in the hands of a person: how that begins and ends, and what becomes of what they say.

It begins by a word of the user, by a rule, by the model (which says so on its last piece), after
several apologies in a row, or because an agent took the user over by themselves. From then on the
bot is silent, and nothing the user says is lost:

- where WeChat hands over message by message (official accounts, Mini Programs), every message
  becomes a turn without a text whose delivery passes it on. They are never merged: each has to be
  passed on by the answer to its own request. One that could not be is owned up to (`missed`).
- where it hands over once for all (WeChat Customer Service), the agents see the chat anyway.
- questions that were queued before are answered; those behind the hand-over are passed on.

None of it becomes history, as the bot does not hear the person's side. Menus and scans that would
set off a rule are passed on like messages; to be forgotten can be asked for at any time.

It ends by the platform's word, by a word of the user, by their long silence, when they unfollow,
or when it turns out that nobody could be reached. A model's hand-over may come too late for the
request that could have made it: then the user's next message is tried before that is said. Pure.
"""

from msgspec import structs
from queqiao_common.events import InboundMessage

from queqiao_context.document import Conversation, Handed, Turn
from queqiao_context.rules import Rules

BEGUN = frozenset({"kf_create_session", "kf_switch_session"})
ENDED = frozenset({"kf_close_session"})
CHANGED = "session_status_change"
ENDED_TYPE = "3"
"""`change_type` of a session of WeChat Customer Service that has ended; others go on."""


def begun_by_platform(message: InboundMessage) -> bool:
    """Whether the platform says that a person has taken the user over."""
    if message.platform_event == CHANGED:
        return message.details.get("change_type") in {"1", "2"}
    return message.platform_event in BEGUN


def ended_by_platform(message: InboundMessage) -> bool:
    """Whether the platform says that the person has left."""
    if message.platform_event == CHANGED:
        return message.details.get("change_type") == ENDED_TYPE
    return message.platform_event in ENDED


def hand_over(talk: Conversation, why: str, rules: Rules) -> Conversation:
    """Give the user to a person, from now on."""
    handed = Handed(since_ms=rules.now_ms, seen_ms=rules.now_ms, why=why)
    return structs.replace(talk, handed=talk.handed or handed, back=False, failures=0)


def take_back(talk: Conversation, *, tell: bool) -> Conversation:
    """Have the bot answer again; `tell` the platform so with what is said next."""
    if talk.handed is None:
        return talk
    return structs.replace(talk, handed=None, back=tell)


def reached(talk: Conversation) -> Conversation:
    """Note that the platform has taken the user, or a message of theirs, over."""
    if talk.handed is None or talk.handed.reached:
        return talk
    return structs.replace(talk, handed=structs.replace(talk.handed, reached=True))


def seen(talk: Conversation, rules: Rules) -> Conversation:
    """Note that the user has written; after a long silence they are the bot's again."""
    handed = talk.handed
    if handed is None:
        return talk
    if rules.now_ms > _until_ms(handed.seen_ms, rules):
        return take_back(talk, tell=True)
    return structs.replace(talk, handed=structs.replace(handed, seen_ms=rules.now_ms))


def _until_ms(seen_ms: int, rules: Rules) -> int:
    return seen_ms + int(rules.handover.timeout * 1000)


def is_coming(talk: Conversation) -> bool:
    """Whether the user is about to be handed over."""
    turn = talk.turn
    at_hand = turn is not None and (turn.kind == "handover" or turn.handover)
    return at_hand or any(asked.kind == "handover" for asked in talk.queue)


def expected_until_ms(talk: Conversation | None, rules: Rules) -> int | None:
    """Return until when a person is to be expected, if the user says nothing more; None: not.

    From the moment that a hand-over is decided, as the next message may come right behind it.
    """
    if talk is None or not (talk.handed or is_coming(talk)):
        return None
    return _until_ms(talk.handed.seen_ms if talk.handed else rules.now_ms, rules)


def reason(turn: Turn) -> str:
    """Say why a turn ends with a hand-over."""
    if turn.kind == "handover":
        return "asked for"
    return "failures" if turn.failed else "model"


def wanted_by_model(turn: Turn, rules: Rules) -> Turn:
    """Have a turn end with a hand-over, or with the word that nobody is there."""
    if not rules.handover.enabled:
        return turn
    if rules.agents == "none":
        return structs.replace(turn, postscript=rules.handover.unavailable)
    return structs.replace(turn, handover=True, postscript=rules.handover.text)


def after_failures(turn: Turn, before: int, rules: Rules) -> Turn:
    """Have an apology end with a hand-over when it is one too many, `before` being in a row."""
    limit = rules.handover.failures
    if not rules.can_hand_over or not limit or before + 1 < limit:
        return turn
    return structs.replace(turn, handover=True, postscript=rules.handover.text)
