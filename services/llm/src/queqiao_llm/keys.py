"""The keys of the models: the least used is taken, and one that was refused rests for a while.

Each replica learns for itself. Instants are seconds of a clock that only grows.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct, structs
from queqiao_common.settings import Model

from queqiao_llm.completion import ModelFailed, Reason

REFUSED = frozenset({401, 403})
"""Statuses by which a key, rather than the request, is refused."""
REST_REFUSED = 60.0
REST_LIMITED = 5.0
LONGEST_REST = 3600.0
"""Seconds after which even a key that wished for a longer rest is tried again."""


class Key(Struct, frozen=True):
    """How often a key was used, and until when it rests."""

    used: int = 0
    until: float = 0.0


class Keys:
    """The keys of all models, by their place in the configuration."""

    def __init__(self, models: Iterable[Model], clock: Callable[[], float]) -> None:
        self._keys = {model.id: [Key()] * len(model.keys) for model in models}
        self._clock = clock

    def rests(self) -> dict[str, float]:
        """Return for each model the seconds until one of its keys is rested: 0 when one is."""
        now = self._clock()
        return {
            model: max(0.0, min(key.until for key in keys) - now)
            for model, keys in self._keys.items()
        }

    def ready(self, model: str) -> list[int]:
        """Return the rested keys of a model, the least used first."""
        now, keys = self._clock(), self._keys[model]
        rested = [place for place, key in enumerate(keys) if key.until <= now]
        return sorted(rested, key=lambda place: keys[place].used)

    def use(self, model: str, place: int) -> None:
        """Note that a key is being used."""
        key = self._keys[model][place]
        self._keys[model][place] = structs.replace(key, used=key.used + 1)

    def fail(self, model: str, place: int, failure: ModelFailed) -> bool:
        """Let a key rest if it is to blame; whether the model can be asked with another instead."""
        keys = self._keys[model]
        rest = rest_of(failure, single=len(keys) == 1)
        if rest > 0:
            until = self._clock() + min(LONGEST_REST, rest)
            keys[place] = structs.replace(keys[place], until=until)
        return rest > 0 and bool(self.ready(model))


def rest_of(failure: ModelFailed, *, single: bool) -> float:
    """Return for how many seconds a key should rest after a failure: 0 when it is not to blame.

    A model's only key rests when the model wishes it; the circuit breaker sees to the rest.
    """
    if failure.reason is Reason.RATE_LIMITED:
        unsaid = 0.0 if single else REST_LIMITED
        return unsaid if failure.after is None else failure.after
    is_refused = failure.reason is Reason.REFUSED and failure.status in REFUSED
    return REST_REFUSED if is_refused and not single else 0.0
