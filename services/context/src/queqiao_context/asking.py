"""What a message asks for: a question, a fixed text, a person, another persona, or nothing. Pure.

In this order: what the user may always ask for (to be forgotten), the person they talk to, what
moderation says, the operator's rules, our own words, greetings, pictures and voice, the question.
"""

from collections.abc import Sequence

from msgspec import structs
from queqiao_common import matching
from queqiao_common.events import Card, InboundMessage, Media, ScreenedMessage, Verdict

from queqiao_context import handover
from queqiao_context.document import Asked, Conversation
from queqiao_context.rules import FactsNeeded, Rules

READABLE = frozenset({Verdict.PASS, Verdict.MASKED})
FORGETTING = frozenset({"unsubscribe", "user_info_modified", "user_authorization_revoke"})
"""Platform events after which nothing may be kept of a user. Source: protocol reference 3."""
MAX_WAITING = 24
"""Open requests remembered for one turn; WeChat itself keeps a callback for 15 s at most."""
TROUBLES = frozenset({"gone", "too_large", "failed", "no_speech", "unclear"})
"""What may be wrong with media, each with a text of its own in `[media]`."""


def forgets(screened: ScreenedMessage, rules: Rules) -> bool:
    """Whether nothing may be kept of the user any longer: they say so, or WeChat does."""
    message = screened.message
    if message is None:
        return False
    if message.kind == "platform_event":
        return message.platform_event in FORGETTING
    return _says(screened, rules.notes.erase_words)


def is_fetch(screened: ScreenedMessage, rules: Rules) -> bool:
    """Whether it comes to fetch what is parked, and is no question."""
    return _says(screened, rules.settings.fetch_words)


def asked_for(talk: Conversation, screened: ScreenedMessage, rules: Rules) -> Asked | None:
    """Say what a message asks for; None where it asks for nothing.

    Raises:
        FactsNeeded: it asks for the notes, and they have not been read.
    """
    message = screened.message
    if message is None:
        return None
    if handover.ended_by_platform(message):
        return Asked(kind="back", text=rules.handover.back_text) if talk.handed else None
    if forgets(screened, rules):
        return notice(rules.notes.erased if message.kind != "platform_event" else "")
    if _says(screened, rules.handover.back_words) and (talk.handed or handover.is_coming(talk)):
        return Asked(kind="back", text=rules.handover.back_text)
    if talk.handed:
        return passed_on(talk, screened, rules)
    if screened.verdict in {Verdict.BLOCKED, Verdict.THROTTLED}:
        return notice(screened.text)
    if screened.verdict is Verdict.FAILED:
        return notice(rules.settings.apology)
    return _wanted(talk, screened, message, rules)


def passed_on(talk: Conversation, screened: ScreenedMessage, rules: Rules) -> Asked | None:
    """What a message asks for while a person talks to the user: to reach that person.

    So does what would otherwise set off a rule or a greeting: its request is held open for that.
    """
    message = screened.message
    if message is None or rules.agents != "each":
        return None
    if message.kind == "platform_event" and _wanted(talk, screened, message, rules) is None:
        return None
    return Asked(kind="transfer", text="")


def _wanted(
    talk: Conversation, screened: ScreenedMessage, message: InboundMessage, rules: Rules
) -> Asked | None:
    by_rule = _by_rule(screened, message, rules)
    if by_rule is not None:
        return by_rule
    if message.kind == "platform_event":
        return notice(rules.welcome if _is_greeted(talk, message, rules) else "")
    by_word = _by_word(screened, rules)
    if by_word is not None:
        return by_word
    if message.media:
        return _with_media(screened, message.media, rules)
    if message.kind == "unsupported" or not screened.text.strip():
        return notice(rules.settings.unsupported)
    return Asked(kind="question", text=screened.text, menu_id=message.menu_id)


def _by_rule(screened: ScreenedMessage, message: InboundMessage, rules: Rules) -> Asked | None:
    rule = matching.first_fitting(rules.rules, matching.occasions(message, screened.text))
    if rule is None:
        return None
    if rule.handover:
        return _handed_over(rules, text=rule.reply, persona=rule.persona)
    if rule.ask:
        return Asked(kind="question", text=rule.ask, persona=rule.persona)
    text = rule.reply or (rules.persona_of(rule.persona)[1].greeting if rule.persona else "")
    if rule.card:
        cards = (Card(**structs.asdict(rule.card)),)
        return Asked(kind="notice", text=text, persona=rule.persona, cards=cards)
    if not text and message.kind == "text":  # a silent switch: the new persona answers
        return Asked(kind="question", text=screened.text, persona=rule.persona)
    return Asked(kind="notice", text=text, persona=rule.persona)


def _by_word(screened: ScreenedMessage, rules: Rules) -> Asked | None:
    if rules.handover.enabled and _says(screened, rules.handover.words):
        return _handed_over(rules)
    if _says(screened, rules.settings.reset_words):
        return Asked(kind="reset", text=rules.settings.reset_text)
    if rules.notes.enabled and _says(screened, rules.notes.show_words):
        return notice(_shown(rules))
    return None


def _handed_over(rules: Rules, *, text: str = "", persona: str = "") -> Asked:
    if not rules.can_hand_over:
        return Asked(kind="notice", text=rules.handover.unavailable, persona=persona)
    return Asked(kind="handover", text=text or rules.handover.text, persona=persona)


def _shown(rules: Rules) -> str:
    if rules.facts is None:
        raise FactsNeeded
    if not rules.facts:
        return rules.notes.none
    return "\n".join((rules.notes.shown, *(f"· {fact}" for fact in rules.facts)))


def _with_media(screened: ScreenedMessage, media: Sequence[Media], rules: Rules) -> Asked | None:
    """A picture is shown to the model, of a voice message its words are the question."""
    pictures = tuple(
        one.key for one in media if one.kind == "image" and one.key and not one.trouble
    )
    text = screened.text.strip()
    if pictures or text:
        hold_ms = 0 if text else rules.now_ms + int(rules.settings.gather * 1000)
        return Asked(kind="question", text=screened.text, media=pictures, hold_ms=hold_ms)
    trouble = next((one.trouble for one in media if one.trouble), "")
    if not trouble and not any(one.key for one in media):
        return notice(rules.settings.unsupported)
    trouble = trouble or "unclear"
    return notice(getattr(rules.media, trouble if trouble in TROUBLES else "failed"))


def is_silent(talk: Conversation, rules: Rules) -> bool:
    """Whether the user has been silent for so long that their session is over."""
    return rules.now_ms - talk.active_ms > rules.settings.session_ttl * 1000


def notice(text: str) -> Asked | None:
    """Ask for a fixed text to be said; None where there is none."""
    return Asked(kind="notice", text=text) if text else None


def enqueue(talk: Conversation, asked: Asked, rules: Rules) -> Conversation:
    """Queue it; too many questions become one request for patience."""
    if asked.kind == "question" and len(talk.queue) >= rules.settings.max_queued:
        busy = rules.settings.busy
        asked = Asked(kind="notice", text=busy, waiting=asked.waiting, peer=asked.peer)
    last = talk.queue[-1] if talk.queue else None
    if last is not None and _is_same_notice(last, asked):
        waiting = (*last.waiting, *asked.waiting)[-MAX_WAITING:]
        merged = structs.replace(asked, waiting=waiting)
        return structs.replace(talk, queue=(*talk.queue[:-1], merged))
    return structs.replace(talk, queue=(*talk.queue, asked))


def _is_same_notice(last: Asked, asked: Asked) -> bool:
    if not last.kind == asked.kind == "notice":
        return False
    said, again = ((one.text, one.cards, one.peer, one.persona) for one in (last, asked))
    return said == again


def _is_greeted(talk: Conversation, message: InboundMessage, rules: Rules) -> bool:
    """Whether they are welcomed: new followers, and who opens the chat to begin a session.

    A ticket that came with it says that WeChat expects a welcome.
    """
    if message.trigger == "enter":
        return bool(message.ticket) or (talk.turn is None and is_silent(talk, rules))
    return message.platform_event == "subscribe"


def _says(screened: ScreenedMessage, words: Sequence[str]) -> bool:
    message = screened.message
    if message is None or message.kind == "platform_event" or screened.verdict not in READABLE:
        return False
    return screened.text.strip() in words
