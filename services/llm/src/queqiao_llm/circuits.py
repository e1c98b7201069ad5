"""The circuits of all models, as this replica has seen them."""

from collections.abc import Callable, Iterable

from queqiao_common.breaker import Breaker, Rules, begun, failed, opens_in, released
from queqiao_common.settings import Model

from queqiao_llm import metrics
from queqiao_llm.completion import ModelFailed, Reason

ABOUT_THE_REQUEST = frozenset({0, 400, 413, 422})
"""Statuses of refusals that any model might give: they say nothing of this one's health."""


class Circuits:
    """One breaker for each model. Each replica learns for itself: what it cannot reach, others may.

    `clock` gives seconds that only grow.
    """

    def __init__(self, models: Iterable[Model], clock: Callable[[], float]) -> None:
        self._rules = {
            model.id: Rules(model.breaker_failures, model.breaker_pause) for model in models
        }
        self._clock = clock
        self._breakers: dict[str, Breaker] = {}
        for model in self._rules:
            self._note(model, Breaker())

    def opens_in(self) -> dict[str, float]:
        """Return for each model the seconds until it may be asked: 0 when it may now."""
        now = self._clock()
        return {
            model: opens_in(breaker, self._rules[model], now)
            for model, breaker in self._breakers.items()
        }

    def are_open(self, models: Iterable[Model]) -> bool:
        """Whether none of these models may be asked now."""
        waits = self.opens_in()
        return all(waits[model.id] > 0 for model in models)

    def begin(self, model: str) -> None:
        """Note that a model is being asked."""
        self._note(model, begun(self._breakers[model], self._clock()))

    def succeed(self, model: str) -> None:
        """Note a complete answer."""
        self._note(model, Breaker())

    def fail(self, model: str, failure: ModelFailed) -> None:
        """Note a failure, unless it says nothing of the model's health."""
        breaker = self._breakers[model]
        if is_blameless(failure):
            self._note(model, released(breaker))
        else:
            self._note(model, failed(breaker, self._rules[model], self._clock()))

    def _note(self, model: str, breaker: Breaker) -> None:
        if self._breakers.get(model) != breaker:
            self._breakers[model] = breaker
            metrics.show_circuit(model, breaker)


def is_blameless(failure: ModelFailed) -> bool:
    """Tell whether a failure lies in the request, the turn's deadline, or in what we may ask."""
    if failure.reason is Reason.REFUSED:
        return failure.status in ABOUT_THE_REQUEST
    return failure.reason in (Reason.DEADLINE, Reason.BUSY)
