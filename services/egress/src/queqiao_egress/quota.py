"""How many customer-service messages a user's actions still allow: the ledger in KV `quota`.

A message and a tap, scan or follow each open a window of their own; a new action renews its own
window, and leftovers do not add up. Messages are taken for a whole delivery before its first is
sent, under its id, so that taking them again changes nothing.

Source: protocol reference 6.1; which window WeChat charges first is not documented, so the one
that ends first is assumed.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct, field, structs
from queqiao_common.events import Trigger, Waiting
from queqiao_common.settings import Delivery as Settings

ENTER_QUOTA = 2
"""After entering the chat. Source: protocol reference 6.1."""
REFUSED = "45047"
"""What takes the rest of a window that WeChat says is spent."""


class Grant(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One window: `size` messages until `until_ms`, and how many each delivery has taken."""

    opened_ms: int
    until_ms: int
    size: int
    taken: dict[str, int] = field(default_factory=dict)


class Ledger(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one user's windows."""

    by_message: Grant | None = None
    by_event: Grant | None = None


EVENT_SHARE: Mapping[Trigger, int | None] = MappingProxyType(
    {"menu": None, "subscribe": None, "scan": None, "enter": ENTER_QUOTA}
)
"""The actions that open the short window, and what they allow at most (None: as configured)."""


def observe(
    ledger: Ledger | None, waiting: Iterable[Waiting], settings: Settings, *, now_ms: int
) -> Ledger:
    """Open the windows that the user's actions open, where they are newer than what is known.

    With no action and no ledger nothing is known: WeChat is then assumed to allow a reply, and
    corrects us if it does not.
    """
    actions = tuple(waiting)
    if ledger is None and not actions:
        return Ledger(by_message=_by_message(now_ms, settings))
    known = ledger or Ledger()
    for action in actions:
        if action.trigger == "message":
            known = _renewed(known, "by_message", _by_message(action.received_ms, settings))
        elif action.trigger in EVENT_SHARE:
            known = _renewed(known, "by_event", _by_event(action, settings))
    return known


def left(ledger: Ledger, *, delivery_id: str, used: int, now_ms: int) -> int:
    """Return how many messages a delivery that has sent `used` of its own may still send."""
    free = sum(_free(grant, delivery_id) for _, grant in _open(ledger, now_ms))
    return max(0, free - used)


def allowed(ledger: Ledger, *, now_ms: int) -> int:
    """Return how many messages the open windows allow in all."""
    return sum(grant.size for _, grant in _open(ledger, now_ms))


def take(ledger: Ledger, *, delivery_id: str, count: int, now_ms: int) -> Ledger:
    """Set what a delivery takes, sent and unsent, to `count` messages in all."""
    for name, grant in _open(ledger, now_ms):
        share = min(count, _free(grant, delivery_id))
        count -= share
        ledger = _with(ledger, name, _taking(grant, delivery_id, share))
    return ledger


def exhaust(ledger: Ledger, *, delivery_id: str, used: int, now_ms: int) -> Ledger:
    """Note that WeChat allows no more, though we thought so; new actions open new windows."""
    ledger = take(ledger, delivery_id=delivery_id, count=used, now_ms=now_ms)
    for name, grant in _open(ledger, now_ms):
        ledger = _with(ledger, name, _taking(grant, REFUSED, _free(grant, REFUSED)))
    return ledger


def _by_message(opened_ms: int, settings: Settings) -> Grant:
    until_ms = opened_ms + int(settings.quota_window * 1000)
    return Grant(opened_ms=opened_ms, until_ms=until_ms, size=settings.quota)


def _by_event(action: Waiting, settings: Settings) -> Grant:
    share = EVENT_SHARE[action.trigger]
    return Grant(
        opened_ms=action.received_ms,
        until_ms=action.received_ms + int(settings.event_quota_window * 1000),
        size=settings.event_quota if share is None else min(share, settings.event_quota),
    )


def _renewed(ledger: Ledger, name: str, grant: Grant) -> Ledger:
    known: Grant | None = getattr(ledger, name)
    if known is not None and known.opened_ms >= grant.opened_ms:
        return ledger
    return _with(ledger, name, grant)


def _open(ledger: Ledger, now_ms: int) -> list[tuple[str, Grant]]:
    """Return the open windows, the one that ends first before the other."""
    known = (("by_event", ledger.by_event), ("by_message", ledger.by_message))
    found = [(name, grant) for name, grant in known if grant and grant.until_ms > now_ms]
    return sorted(found, key=lambda pair: pair[1].until_ms)


def _free(grant: Grant, delivery_id: str) -> int:
    """Return what others have left of a window; a delivery's own share counts as free."""
    others = sum(count for name, count in grant.taken.items() if name != delivery_id)
    return max(0, grant.size - others)


def _taking(grant: Grant, name: str, count: int) -> Grant:
    others = {key: taken for key, taken in grant.taken.items() if key != name}
    return structs.replace(grant, taken=others | ({name: count} if count else {}))


def _with(ledger: Ledger, name: str, grant: Grant) -> Ledger:
    return structs.replace(ledger, **{name: grant})
