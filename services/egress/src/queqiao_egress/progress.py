"""What this process knows of its own calls, and the bucket does not."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from queqiao_egress import sent
from queqiao_egress.sent import Marker

IN_HAND = 10_000


class Word(Struct, frozen=True, omit_defaults=True):
    """What a process says of one delivery.

    `marker` is how far it came, where it could not write that down; `busy` while a call, or its
    claim, is under way. A `forgetful` process may have known more.
    """

    marker: Marker | None = None
    busy: bool = False
    forgetful: bool = False


class Progress:
    """The deliveries in hand, by id."""

    def __init__(self, *, limit: int = IN_HAND) -> None:
        self._markers: OrderedDict[str, Marker] = OrderedDict()
        self._busy: set[str] = set()
        self._limit = limit
        self._forgetful = False

    def of(self, delivery_id: str) -> Word:
        """Return all that is known."""
        return Word(
            marker=self._markers.get(delivery_id),
            busy=delivery_id in self._busy,
            forgetful=self._forgetful,
        )

    def answer(self, delivery_id: bytes) -> bytes:
        """Tell another replica."""
        return msgspec.json.encode(self.of(delivery_id.decode()))

    def latest(self, delivery_id: str, stored: Marker | None) -> Marker | None:
        """Return how far a delivery has come, by the bucket and by what is known here."""
        return sent.latest(stored, self._markers.get(delivery_id))

    def remember(self, delivery_id: str, marker: Marker) -> None:
        """Know it until `forget`, as far as there is room."""
        self._markers[delivery_id] = marker
        if len(self._markers) > self._limit:
            self._markers.popitem(last=False)
            self._forgetful = True

    def forget(self, delivery_id: str) -> None:
        """Know no more than the bucket."""
        self._markers.pop(delivery_id, None)

    @contextmanager
    def busy(self, delivery_id: str) -> Iterator[None]:
        """Be busy with it: what becomes of it is not known before the end."""
        self._busy.add(delivery_id)
        try:
            yield
        finally:
            self._busy.discard(delivery_id)
