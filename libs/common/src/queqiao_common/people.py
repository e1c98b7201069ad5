"""Which users talk to a person, for whoever decides whether to hold a callback open (ADR 0014).

An account that is answered by API alone needs its callbacks for one thing: to hand a message over
to the platform's agents. Context says here of whom that is to be expected; ingress hears it.
"""

from msgspec import Struct

from queqiao_common.events import Millis


class WithPerson(Struct, frozen=True, kw_only=True):
    """A user who talks to a person until `until_ms`, if nothing prolongs or ends it before."""

    until_ms: Millis


def person_key(account: str, conv: str) -> str:
    """Return the key of a user in the `people` bucket."""
    return f"{account}.{conv}"
