"""How far a delivery by API has come: the marker in KV `sent`.

Before each call the marker says who sends what, after it that WeChat accepted. WeChat's call has no
idempotency key, so a marker that says "sending" and whose sender is gone leaves one part in doubt:
that part alone is repeated or not, as the operator has chosen.
"""

from typing import Literal

from msgspec import Struct, structs

Policy = Literal["resend", "drop"]


class Marker(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One delivery's progress; `step` grows with every change.

    `carried` names what WeChat has accepted and `sending` what the call in flight carries (empty:
    no call is in flight). `doubts` counts parts that may have been shown besides the accepted ones.
    """

    owner: str
    since_ms: int
    step: int = 1
    parts: int = 0
    carried: tuple[str, ...] = ()
    sending: tuple[str, ...] = ()
    doubts: int = 0
    done: bool = False
    errcode: int = 0

    @property
    def used(self) -> int:
        """How many of the user's messages this delivery has spent, doubtful ones included."""
        return self.parts + self.doubts


def claimed(marker: Marker | None, carries: tuple[str, ...], *, owner: str, now_ms: int) -> Marker:
    """Say, before a call, who makes it and what it carries."""
    if marker is None:
        return Marker(owner=owner, since_ms=now_ms, sending=carries)
    return structs.replace(
        marker, owner=owner, since_ms=now_ms, sending=carries, step=marker.step + 1
    )


def accepted(marker: Marker) -> Marker:
    """Note that WeChat accepted the part in flight."""
    return structs.replace(
        marker,
        parts=marker.parts + 1,
        carried=(*marker.carried, *marker.sending),
        sending=(),
        step=marker.step + 1,
    )


def released(marker: Marker) -> Marker:
    """Note that the part in flight certainly was not accepted."""
    return structs.replace(marker, sending=(), step=marker.step + 1)


def doubtful(marker: Marker, policy: Policy) -> Marker:
    """Settle a part of which nobody knows whether it was accepted."""
    if policy == "drop":
        return accepted(marker)
    return structs.replace(marker, sending=(), doubts=marker.doubts + 1, step=marker.step + 1)


def finished(marker: Marker, *, errcode: int = 0) -> Marker:
    """Note that nothing more of this delivery goes by API."""
    return structs.replace(marker, sending=(), done=True, errcode=errcode, step=marker.step + 1)


def latest(stored: Marker | None, remembered: Marker | None) -> Marker | None:
    """Return the marker that has come further: this process may know more than it could write.

    What it knows follows a claim that was written; a claim of another's is later than that.
    """
    if stored is None or remembered is None:
        return stored or remembered
    is_newer = stored.owner != remembered.owner or stored.step > remembered.step
    return stored if is_newer else remembered


def may_follow(current: Marker | None, new: Marker) -> bool:
    """Return whether `new` may replace `current`: not where another process has gone on."""
    return current is None or current == new or current.step < new.step
