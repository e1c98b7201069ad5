"""How many customer-service messages a user's actions still allow: the ledger in KV `quota`.

A message and a tap, scan or follow each open a window of their own; a new action renews its own
window. Messages are taken for a whole delivery before its first is sent, under its id, so that
taking them again changes nothing.

Source: protocol reference 6.1. Whether two open windows add up is not documented, so the strict
side is taken: a message counts against every open window, and the larger rest is what is left.
"""

from collections.abc import Iterable

from msgspec import Struct, field, structs
from queqiao_common.events import Trigger, Waiting

MINUTE_MS = 60_000
LATEST_MS = 60_000
"""How long after its action a message is accepted at the latest."""
REFUSED = "45047"
"""What takes the rest of a window that WeChat says is spent."""


class Share(Struct, frozen=True):
    """What one kind of action allows: so many messages for so many seconds."""

    count: int
    seconds: float


class Quota(Struct, frozen=True, kw_only=True):
    """What the actions of a channel's users allow; None: nothing."""

    message: Share
    event: Share | None = None  # a tap on a menu, a scan, a follow
    enter: Share | None = None

    def share(self, trigger: Trigger) -> Share | None:
        """Return what an action other than a message allows."""
        if trigger == "enter":
            return self.enter
        return self.event if trigger in EVENTS else None


class Grant(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One window: `size` messages until `until_ms`, how many each delivery has taken, and when."""

    opened_ms: int
    until_ms: int
    size: int
    taken: dict[str, int] = field(default_factory=dict)
    taken_ms: dict[str, int] = field(default_factory=dict)


class Ledger(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one user's windows, and of the last minute where messages are paced."""

    by_message: Grant | None = None
    by_event: Grant | None = None
    recent_ms: tuple[int, ...] = ()


EVENTS: frozenset[Trigger] = frozenset({"menu", "subscribe", "scan"})
"""The actions that open the short window."""


def observe(
    ledger: Ledger | None, waiting: Iterable[Waiting], quota: Quota, *, now_ms: int
) -> Ledger:
    """Open the windows that the user's actions open, where they are newer than what is known.

    With no action and no ledger nothing is known: WeChat is then assumed to allow a reply, and
    corrects us if it does not.
    """
    actions = tuple(waiting)
    if ledger is None and not actions:
        return Ledger(by_message=_by_message(now_ms, quota))
    known = ledger or Ledger()
    for action in actions:
        if action.trigger == "message":
            known = _renewed(known, "by_message", _by_message(_opened_ms(action), quota))
        elif (share := quota.share(action.trigger)) is not None:
            known = _renewed(known, "by_event", _grant(_opened_ms(action), share))
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


def give_back(ledger: Ledger, *, delivery_id: str, used: int, now_ms: int) -> Ledger:
    """Let a delivery that has ended keep only what it `used`: the rest is for others."""
    return take(ledger, delivery_id=delivery_id, count=used, now_ms=now_ms)


def exhaust(ledger: Ledger, *, delivery_id: str, used: int, now_ms: int) -> Ledger:
    """Note that WeChat allows no more, though we thought so; new actions open new windows."""
    ledger = give_back(ledger, delivery_id=delivery_id, used=used, now_ms=now_ms)
    for name, grant in _open(ledger, now_ms):
        ledger = _with(ledger, name, _taking(grant, REFUSED, _free(grant, REFUSED), now_ms))
    return ledger


def closes_ms(ledger: Ledger) -> int:
    """Return when the last of the windows closes (0: none is known), in ms."""
    known = (ledger.by_event, ledger.by_message)
    return max((grant.until_ms for grant in known if grant), default=0)


def paced(ledger: Ledger, *, per_minute: int, now_ms: int) -> tuple[int, int]:
    """Return how many messages the minute that ends now has room for, and ms until it has more."""
    recent = _recent(ledger, now_ms)
    room = max(0, per_minute - len(recent))
    return room, 0 if room else recent[0] + MINUTE_MS - now_ms


def spend(ledger: Ledger, *, count: int, now_ms: int) -> Ledger:
    """Note messages that are about to be sent where they are paced."""
    recent = (*_recent(ledger, now_ms), *(now_ms for _ in range(count)))
    return structs.replace(ledger, recent_ms=recent)


def _recent(ledger: Ledger, now_ms: int) -> tuple[int, ...]:
    return tuple(at for at in ledger.recent_ms if at > now_ms - MINUTE_MS)


def _opened_ms(action: Waiting) -> int:
    """Return when an action opened its window: when the user acted, as WeChat counts.

    Its delivery may be a later one of three, 5 s apart (protocol reference 4.1). A time that cannot
    be the action's is not believed.
    """
    late_ms = action.received_ms - action.sent_ms
    return action.sent_ms if 0 <= late_ms <= LATEST_MS else action.received_ms


def _by_message(opened_ms: int, quota: Quota) -> Grant:
    return _grant(opened_ms, quota.message)


def _grant(opened_ms: int, share: Share) -> Grant:
    until_ms = opened_ms + int(share.seconds * 1000)
    return Grant(opened_ms=opened_ms, until_ms=until_ms, size=share.count)


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
