"""How fast the models have been lately, and which of them can still be in time. Pure.

Times are seconds. `now` is a clock that only grows.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from queqiao_common.settings import Model

from queqiao_llm.quantiles import Quantiles

HALF_LIFE = 120.0
"""Seconds in which an observation loses half of its weight: a model's load changes in minutes."""
ENOUGH = 2.5
"""Weight below which nothing is known: two observations may be accidents, three are not."""
STALE = 300.0
"""Seconds without an observation after which nothing is known: a slow model is tried again."""
LIKELY = 0.5
LATE = 0.95
UNKNOWN = 300.0
"""Tokens of an answer of a model that has given none yet."""
BYTES_PER_TOKEN = 4
"""Of UTF-8, for a token of a Chinese or an English answer: what a piece of so many bytes takes."""


class Times(Struct, frozen=True):
    """When a model will probably have written its first piece, and its whole answer."""

    piece: float
    whole: float


class Pace:
    """What one model has taken lately: to its first text, for a token after it, for how many."""

    def __init__(self) -> None:
        self._first = Quantiles(HALF_LIFE)
        self._each = Quantiles(HALF_LIFE)
        self._tokens = Quantiles(HALF_LIFE)
        self._last = -STALE

    def note_first(self, seconds: float, now: float) -> None:
        """Note the time to the first text, or how long nothing had come when nobody waited on."""
        self._first.add(seconds, now)
        self._last = now

    def note_rest(self, seconds: float, tokens: int, now: float) -> None:
        """Note the time from the first text of an answer of so many tokens to its end."""
        self._each.add(seconds / max(1, tokens), now)
        self._tokens.add(tokens, now)

    def times(self, segment_bytes: int, now: float) -> Times | None:
        """Return what to expect: half of the answers take longer. None: too little is known."""
        first, each = self._first.at(LIKELY), self._each.at(LIKELY)
        tokens = self._tokens.at(LIKELY)
        if first is None or each is None or tokens is None or not self._is_known(now):
            return None
        piece = min(tokens, segment_bytes / BYTES_PER_TOKEN)
        return Times(piece=first + each * piece, whole=first + each * tokens)

    def late(self, now: float) -> float | None:
        """Return the time to the first text that 19 of 20 answers keep. None: unknown."""
        return self._first.at(LATE) if self._is_known(now) else None

    def tokens(self, most: int | None) -> int:
        """Return how many tokens an answer will probably take; `most` are those it may."""
        usual = self._tokens.at(LIKELY) or UNKNOWN
        return round(usual if most is None else min(usual, most))

    def _is_known(self, now: float) -> bool:
        return now - self._last < STALE and self._first.weight(now) >= ENOUGH


def in_time(
    models: Sequence[Model], times: Mapping[str, Times | None], *, window: float, left: float
) -> Sequence[Model]:
    """Return the models that can be in time, in their order: all of them where none can.

    `window` are the seconds in which the user's own request can still carry the first piece (0: no
    request waits), `left` those to the deadline of the turn. First come the models that can use the
    window, then those that keep the deadline: where nobody makes the window, the first choice
    answers late, by API. A model of which nothing is known might do anything: it is believed.
    """
    punctual = [one for one in models if _keeps(times.get(one.id), left=left)]
    quick = [one for one in punctual if _uses(times.get(one.id), window=window)]
    return (window > 0 and quick) or punctual or models


def _keeps(times: Times | None, *, left: float) -> bool:
    return times is None or times.whole <= left


def _uses(times: Times | None, *, window: float) -> bool:
    return times is None or times.piece <= window


class Paces:
    """The paces of all models, as this replica has seen them."""

    def __init__(self, models: Iterable[Model], *, segment_bytes: int) -> None:
        self._paces = {model.id: Pace() for model in models}
        self._segment_bytes = segment_bytes

    def __getitem__(self, model: str) -> Pace:
        return self._paces[model]

    def times(self, now: float) -> dict[str, Times | None]:
        """Return what to expect of each model."""
        return {name: pace.times(self._segment_bytes, now) for name, pace in self._paces.items()}
