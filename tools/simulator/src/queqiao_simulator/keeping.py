"""A dictionary that forgets: a simulator that runs for weeks must not grow for weeks."""

from typing import TypeVar

T = TypeVar("T")

KEPT = 20_000


class Kept(dict[str, T]):
    """Holds the newest `limit` items that were put in with `keep`."""

    def __init__(self, limit: int = KEPT) -> None:
        super().__init__()
        self._limit = limit

    def keep(self, name: str, item: T) -> T:
        """Put an item in; the oldest goes when there is no room. Answers the item."""
        self[name] = item
        if len(self) > self._limit:
            del self[next(iter(self))]
        return item
