"""Users who talk to a person, as context has told every replica of ingress."""

import logging
from collections import OrderedDict
from collections.abc import Callable

import msgspec
from queqiao_common.answers import Raw
from queqiao_common.events import InboundMessage
from queqiao_common.people import WithPerson, person_key

log = logging.getLogger(__name__)

MOST = 50_000
"""Users known at once; beyond it the first are forgotten: their next message is not passed on."""

_decode = msgspec.json.Decoder(WithPerson).decode


class People:
    """What this replica has heard of the bucket `people`."""

    def __init__(self, *, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._until_ms: OrderedDict[str, int] = OrderedDict()

    def hear(self, raw: Raw) -> None:
        """Take note of a write to the bucket; an empty one says that the person has left."""
        key = raw.subject.split(".", 2)[2]  # $KV.people.<key>
        if not raw.data:
            self._until_ms.pop(key, None)
            return
        try:
            told = _decode(raw.data)
        except msgspec.MsgspecError:
            log.warning("person.unreadable", extra={"subject": raw.subject})
            return
        self._until_ms[key] = told.until_ms
        self._until_ms.move_to_end(key)
        while len(self._until_ms) > MOST or self._first_is_over():
            self._until_ms.popitem(last=False)

    def _first_is_over(self) -> bool:
        return next(iter(self._until_ms.values()), self._now_ms()) < self._now_ms()

    def have(self, message: InboundMessage) -> bool:
        """Whether the sender of a message talks to a person."""
        until_ms = self._until_ms.get(person_key(message.account, message.conv), 0)
        return until_ms > self._now_ms()
