"""Quantiles of what was observed lately: an observation loses half of its weight in a while. Pure.

Values are kept by the size class they fall into, each a tenth wider than the one before: a quantile
is found within 5 % of the value, in the memory of some dozen numbers, whatever came.
"""

import math

LEAST = 1e-6
"""What is smaller counts as this."""
WIDTH = math.log(1.1)
HEAVY = 1e100
"""All weights are made smaller before one of them could overflow."""


class Quantiles:
    """Observed values, the newer the weightier. `now` is any clock that only grows, in seconds.

    `half_life` is how many seconds halve an observation's weight, which is 1 when it is made.
    """

    def __init__(self, half_life: float) -> None:
        self._half_life = half_life
        self._classes: dict[int, float] = {}
        self._total = 0.0
        self._epoch = 0.0

    def add(self, value: float, now: float) -> None:
        """Note an observation."""
        # Not the old ones are made lighter, at every look, but the new ones heavier.
        weight = self._unit(now)
        if weight > HEAVY:
            self._rebase(now)
            weight = 1.0
        size = math.floor(math.log(max(value, LEAST)) / WIDTH)
        self._classes[size] = self._classes.get(size, 0.0) + weight
        self._total += weight

    def weight(self, now: float) -> float:
        """Return how many observations of this moment all of them are worth."""
        return self._total / self._unit(now) if self._total else 0.0

    def at(self, q: float) -> float | None:
        """Return the value below which a share `q` (0 to 1) of the weight lies; None: of nothing.

        It is the middle of the class that holds it.
        """
        beneath = 0.0
        found = None
        for found in sorted(self._classes):
            beneath += self._classes[found]
            if beneath >= q * self._total * (1 - 1e-9):
                break
        return None if found is None else math.exp((found + 0.5) * WIDTH)

    def _unit(self, now: float) -> float:
        """Return what an observation made now weighs, beside those of the epoch."""
        exponent = (now - self._epoch) / self._half_life
        return math.exp2(min(exponent, 1000.0))

    def _rebase(self, now: float) -> None:
        """Count weights from now on, and forget what has none left."""
        unit = self._unit(now)
        lighter = {size: weight / unit for size, weight in self._classes.items()}
        self._classes = {size: weight for size, weight in lighter.items() if weight > 1e-9}
        self._total = math.fsum(self._classes.values())
        self._epoch = now
