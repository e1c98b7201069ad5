"""Lines at which a test has a process die, so that every crash window can be walked through.

`QUEQIAO_FAILPOINT=egress.after_send` ends the process the first time it reaches that line,
`egress.after_send:3` the third time: at once, with nothing flushed and nobody told. A process that
is started again without the variable works on. Unset, a fail-point costs one look into an empty
table.
"""

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from queqiao_common.errors import SettingsError
from queqiao_common.topology import CONSUMERS

log = logging.getLogger(__name__)

VARIABLE = "QUEQIAO_FAILPOINT"
EXIT_CODE = 86
"""How a process ends that died at its fail-point, and no other process of ours."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A line to die at: the crash window that it stands for.

    With `delay` the line only sets the fuse: death comes so many seconds later, in the middle of
    what the line begins.
    """

    window: str
    delay: float = 0.0


_OF_SERVICES = {
    "ingress.before_publish": Point(window="ingress before PubAck"),
    "ingress.after_publish": Point(window="ingress after PubAck, before 200"),
    "ingress.after_claim": Point(window="ingress after its claim, before the reply leaves"),
    "llm.during_call": Point(window="llm during the call", delay=0.5),
    "egress.before_claim": Point(window="egress after taking quota, before its owner claim"),
    "egress.before_send": Point(window="egress after its owner claim, before the send"),
    "egress.during_call": Point(window="egress during the HTTP call", delay=1.5),
    "egress.after_send": Point(window="egress after the response, before the sent marker"),
    "egress.after_marker": Point(window="egress after the sent marker"),
}
_OF_WORKERS = {
    f"{consumer.name}.{moment}": Point(window=f"{consumer.service} {window}")
    for consumer in CONSUMERS
    for moment, window in (
        ("before_publish", "after its handler's writes, before what it yields is published"),
        ("before_ack", "after publishing, before the ack"),
    )
}
POINTS: Mapping[str, Point] = MappingProxyType(_OF_SERVICES | _OF_WORKERS)
"""Every fail-point, by the name of its line."""


@dataclass
class _Fuse:
    point: Point
    left: int

    def reach(self, name: str) -> None:
        self.left -= 1
        if self.left:
            return
        log.warning("failpoint.reached", extra={"failpoint": name})
        if self.point.delay:
            threading.Timer(self.point.delay, _die).start()
        else:
            _die()


_armed: dict[str, _Fuse] = {}


def failpoint(name: str) -> None:
    """End the process here if it was started to die here."""
    if _armed and name in _armed:
        _armed[name].reach(name)


def arm(text: str) -> None:
    """Take the value of the variable: `<name>`, `<name>:<n>`, or nothing.

    Raises:
        SettingsError: no such fail-point, or no such number.
    """
    _armed.clear()
    if not text:
        return
    name, _, times = text.partition(":")
    if name not in POINTS:
        known = ", ".join(sorted(POINTS))
        raise SettingsError((f"{name!r} is no fail-point; there are {known}",), source=VARIABLE)
    if not (times or "1").isdecimal() or int(times or "1") < 1:
        raise SettingsError((f"{times!r} is no number from 1 on",), source=VARIABLE)
    _armed[name] = _Fuse(POINTS[name], int(times or "1"))
    log.warning("failpoint.armed", extra={"failpoint": text})


def _die() -> None:
    # Not a signal to oneself: the first process of a container would not hear it.
    os._exit(EXIT_CODE)
