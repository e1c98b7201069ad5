"""How many customer-service messages a user's actions still allow: the ledger in KV `quota`.

A message and a tap, scan or follow each open a window of their own; a new action renews its own
window. Messages are taken for a whole delivery before its first is sent, under its id, so that
taking them again changes nothing.

Source: protocol reference 6.1. Whether two open windows add up is not documented, so the strict
side is taken: a message counts against every open window, and the larger rest is what is left.
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
    """One window: `size` messages until `until_ms`, how many each delivery has taken, and when."""

    opened_ms: int
    until_ms: int
    size: int
    taken: dict[str, int] = field(default_factory=dict)
    taken_ms: dict[str, int] = field(default_factory=dict)


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
    free = (_free(grant, delivery_id) for _, grant in _open(ledger, now_ms))
    return max(0, max(free, default=0) - used)


def allowed(ledger: Ledger, *, now_ms: int) -> int:
    """Return how many messages the larger of the open windows allows."""
    return max((grant.size for _, grant in _open(ledger, now_ms)), default=0)


def take(ledger: Ledger, *, delivery_id: str, count: int, now_ms: int) -> Ledger:
    """Set what a delivery takes, sent and unsent, to `count` messages in all."""
    for name, grant in _open(ledger, now_ms):
        share = min(count, _free(grant, delivery_id))
        ledger = _with(ledger, name, _taking(grant, delivery_id, share, now_ms))
    return ledger


def exhaust(ledger: Ledger, *, delivery_id: str, used: int, now_ms: int) -> Ledger:
    """Note that WeChat allows no more, though we thought so; new actions open new windows."""
    ledger = take(ledger, delivery_id=delivery_id, count=used, now_ms=now_ms)
    for name, grant in _open(ledger, now_ms):
        ledger = _with(ledger, name, _taking(grant, REFUSED, _free(grant, REFUSED), now_ms))
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
    """Open a newer window; what was sent after the action that opened it counts in it already."""
    known: Grant | None = getattr(ledger, name)
    if known is None:
        return _with(ledger, name, grant)
    if known.opened_ms >= grant.opened_ms:
        return ledger
    later = {key: at for key, at in known.taken_ms.items() if at >= grant.opened_ms}
    taken = {key: known.taken[key] for key in later}
    return _with(ledger, name, structs.replace(grant, taken=taken, taken_ms=later))


def _open(ledger: Ledger, now_ms: int) -> list[tuple[str, Grant]]:
    """Return the open windows."""
    known = (("by_event", ledger.by_event), ("by_message", ledger.by_message))
    return [(name, grant) for name, grant in known if grant and grant.until_ms > now_ms]


def _free(grant: Grant, delivery_id: str) -> int:
    """Return what others have left of a window; a delivery's own share counts as free."""
    others = sum(count for name, count in grant.taken.items() if name != delivery_id)
    return max(0, grant.size - others)


def _taking(grant: Grant, name: str, count: int, now_ms: int) -> Grant:
    taken = {key: one for key, one in grant.taken.items() if key != name}
    taken_ms = {key: at for key, at in grant.taken_ms.items() if key != name}
    if count:
        taken[name], taken_ms[name] = count, now_ms
    return structs.replace(grant, taken=taken, taken_ms=taken_ms)


def _with(ledger: Ledger, name: str, grant: Grant) -> Ledger:
    return structs.replace(ledger, **{name: grant})
