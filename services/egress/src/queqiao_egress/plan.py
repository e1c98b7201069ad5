"""The reply planner: from what is true now to what leaves by which path, and why.

Pure. egress asks again whenever something has been found out (an offer was taken, or was not;
WeChat refused), each time with what is then still to be given.
"""

from typing import Literal

from msgspec import Struct, structs

from queqiao_egress.pages import Items, Page, Style, page, pages, plain

Mode = Literal["passive", "active", "auto", "stream"]

UNLIMITED = 10_000
"""Messages that may be spent where the channel counts none."""
THRIFT = 3
"""With this many messages left or fewer, pieces of an unfinished answer wait to fill a message."""


class Window(Struct, frozen=True, kw_only=True):
    """A waiting HTTP request that may still carry a reply."""

    msgid: str
    until_ms: int


class Situation(Struct, frozen=True, kw_only=True):
    """What is true now. `left` of `allowed` customer-service messages may still be spent.

    `link` is the text that leads to the whole answer's page, where there is one.
    """

    mode: Mode
    items: Items
    final: bool
    now_ms: int
    window: Window | None = None
    left: int = 0
    allowed: int = 0
    link: str = ""


class Rules(Struct, frozen=True, kw_only=True):
    """How messages look on each path, and what is said where something is missing."""

    passive: Style
    api: Style
    more: str
    cut: str


class Offer(Struct, frozen=True, kw_only=True):
    """A message for the waiting request: at once, or only if its last window ends."""

    window: Window
    page: Page
    now: bool


class Plan(Struct, frozen=True, kw_only=True):
    """What to do: offer, or send `messages` and keep `kept` for later; `reasons` for people."""

    offer: Offer | None = None
    messages: tuple[Page, ...] = ()
    kept: Items = ()
    reasons: tuple[str, ...] = ()


def plan(situation: Situation, rules: Rules) -> Plan:
    """Decide how the items leave: no message is spent without need, nothing is lost unsaid."""
    if not situation.items:
        return Plan(reasons=("nothing to say",))
    if not _are_of_one_answer(situation.items):
        situation = structs.replace(situation, link="")  # the page shows but one of them
    if situation.window is not None and situation.mode != "active":
        return _passively(situation, situation.window, rules)
    if situation.mode == "passive":
        return _keep(situation, "no request waits: kept for the user's next message")
    if situation.final:
        return _finish(situation, rules)
    return _go_on(situation, rules)


def _passively(now: Situation, window: Window, rules: Rules) -> Plan:
    seconds = f"{(window.until_ms - now.now_ms) / 1000:.1f} s"
    if now.mode == "passive" and not now.final:
        fallback = page(now.items, rules.passive, note=now.link or rules.more, unfinished=True)
        return Plan(
            offer=Offer(window=window, page=fallback, now=False),
            kept=now.items,
            reasons=(f"window open for {seconds}, more to come: kept, and offered for its end",),
        )
    note = (now.link or rules.more) if now.mode == "passive" else ""
    first = page(now.items, rules.passive, note=note)
    if now.mode == "passive" and now.link and _is_cut(first):
        linked = f"window open for {seconds}: passive reply, its beginning with a link to the page"
        return Plan(
            offer=Offer(window=window, page=_whole(first, now.items), now=True), reasons=(linked,)
        )
    part = f", the first {rules.passive.limit_bytes} bytes" if first.rest else ""
    reason = f"window open for {seconds}: passive reply{part}"
    return Plan(offer=Offer(window=window, page=first, now=True), reasons=(reason,))


def _keep(now: Situation, reason: str) -> Plan:
    return Plan(kept=now.items, reasons=(reason,))


def _finish(now: Situation, rules: Rules) -> Plan:
    """Send all that is left, in fuller messages where there are few, cut where it must be."""
    if now.left <= 0:
        return _keep(now, f"{_budget(now)}: kept for the user's next message")
    wanted = pages(now.items, rules.api)
    if len(wanted) <= now.left:
        return Plan(messages=wanted, reasons=(f"{_budget(now)}: {_count(len(wanted))} by API",))
    words = plain(now.items, [item.id for item in now.items])  # a card is a line, if it must be
    filled = pages(words, rules.api, full=True)
    if len(filled) <= now.left:
        merged = f"{_budget(now)}: merged {len(wanted)} parts into {len(filled)}"
        return Plan(messages=filled, reasons=(merged,))
    before = filled[: now.left - 1]
    remaining = before[-1].rest if before else words
    short = f"{_budget(now)}, {len(filled)} needed"
    if not _are_of_one_answer(words):
        last = page(remaining, rules.api, note=rules.more, full=True)
        return Plan(
            messages=(*before, last), kept=last.rest, reasons=(f"{short}: the rest is kept",)
        )
    last = page(remaining, rules.api, note=now.link or rules.cut, full=True)
    how = "linked to its page" if now.link else "cut, and said to be"
    return Plan(
        messages=(*before, _whole(last, remaining)), reasons=(f"{short}: the end is {how}",)
    )


def _are_of_one_answer(items: Items) -> bool:
    """Whether all is of one turn: a cut, or a link, stands for the end of no other answer."""
    return len({item.id.rpartition(".")[0] for item in items}) == 1


def _is_cut(first: Page) -> bool:
    """Whether text is left over, not only messages of other kinds."""
    return any(item.attachment is None for item in first.rest)


def _whole(first: Page, items: Items) -> Page:
    """Let a message count for all: the user is told where the rest is, or that it is missing."""
    return structs.replace(first, carried=tuple(item.id for item in items), rest=())


def _go_on(now: Situation, rules: Rules) -> Plan:
    """Send a piece of an unfinished answer if messages abound; the last one is for its end."""
    allowed = max(0, now.left - 1)
    if now.left > THRIFT:
        chosen = pages(now.items, rules.api)[:allowed]
    else:
        chosen = pages(now.items, rules.api, full=True)[:-1][:allowed]
    kept = chosen[-1].rest if chosen else now.items
    reason = f"{_budget(now)}, more to come: {_count(len(chosen))} by API"
    return Plan(
        messages=chosen, kept=kept, reasons=(reason + (", the rest is kept" if kept else ""),)
    )


def _budget(now: Situation) -> str:
    if now.allowed >= UNLIMITED:
        return "no quota"
    return f"{now.left} of {_count(now.allowed)} left"


def _count(number: int) -> str:
    return f"{number} message{'' if number == 1 else 's'}"
