"""How many customer-service messages a user's action allows, and until when. Pure.

Source: protocol reference 6.1. A new trigger renews its own allowance; leftovers do not add up.
"""

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from queqiao_simulator.settings import QuotaRules

OK = 0
WINDOW_CLOSED = 45015
COUNT_USED = 45047

OPENING_EVENTS = frozenset(
    {"click", "scancode_push", "scancode_waitmsg", "subscribe", "scan", "msgmenu"}
)
ENTERING = "user_enter_tempsession"


class Grant(Struct, frozen=True):
    """`left` messages until the Unix second `until`."""

    left: Annotated[int, Meta(ge=0)] = 0
    until: float = 0.0


class Window(Struct, frozen=True):
    """What one account may send to one user: the two kinds of trigger count separately.

    `event_size` is what the last event had allowed: entering a Mini Program's chat allows less.
    """

    by_message: Grant = Grant()
    by_event: Grant = Grant()
    event_size: int = 0


CLOSED = Window()


def on_message(now: float, rules: QuotaRules, window: Window = CLOSED) -> Window:
    """The user wrote."""
    return replace(window, by_message=Grant(rules.message_count, now + rules.message_window))


def on_event(event: str, now: float, rules: QuotaRules, window: Window = CLOSED) -> Window:
    """The user tapped, scanned, followed (opens a short window) or left (closes everything)."""
    name = event.lower()
    if name == "unsubscribe":
        return CLOSED
    if name in OPENING_EVENTS:
        return _opened(window, rules.event_count, now + rules.event_window)
    if name == ENTERING:
        return _opened(window, rules.enter_count, now + rules.event_window)
    return window


def _opened(window: Window, count: int, until: float) -> Window:
    return replace(window, by_event=Grant(count, until), event_size=count)


def spend(window: Window, now: float) -> tuple[int, Window]:
    """Take one message; answers the errcode (0, 45015 or 45047) and the window after it.

    Whether the allowances of two triggers add up is not documented. They do not here: a message
    counts against every trigger that is open, so a sender that passes is right either way.
    """
    open_grants = [grant for grant in (window.by_message, window.by_event) if grant.until > now]
    if not open_grants:
        return WINDOW_CLOSED, window
    if not any(grant.left for grant in open_grants):
        return COUNT_USED, window
    less = replace(window, by_message=_less(window.by_message), by_event=_less(window.by_event))
    return OK, less


def _less(grant: Grant) -> Grant:
    return Grant(max(grant.left - 1, 0), grant.until)


def is_open(window: Window, now: float) -> bool:
    """Whether any trigger is still valid, whatever its count."""
    return max(window.by_event.until, window.by_message.until) > now


class Allowance(Struct, frozen=True):
    """What a person may read: `left` of `of` messages, until `closes_at` (Unix seconds)."""

    left: int
    of: int
    closes_at: float | None


def allowance(window: Window, now: float, rules: QuotaRules) -> Allowance:
    """Sum up what is open now; nothing open: 0 of 0."""
    sizes = ((window.by_message, rules.message_count), (window.by_event, window.event_size))
    parts = [(grant.left, size, grant.until) for grant, size in sizes if grant.until > now]
    left, of, closes_at = max(parts, default=(0, 0, None))
    return Allowance(left, of, closes_at)
