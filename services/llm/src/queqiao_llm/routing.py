"""Which model is asked next, and when: the whole of retry and fallback in one function. Pure."""

from collections.abc import Mapping

from msgspec import Struct
from queqiao_common.settings import Config, Model

from queqiao_llm.completion import Reason

PATIENCE = 2.0
"""Seconds that are rather waited for the same model than given to the next one of the route."""
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 8.0
RECHECK = 1.0
"""Seconds after which a breaker whose trial is under way is looked at again."""

SLOW = frozenset({Reason.FIRST_TOKEN_TIMEOUT, Reason.TIMEOUT})
REPEATABLE = frozenset(Reason) - {Reason.REFUSED, Reason.DEADLINE}


def routes_of(config: Config) -> dict[str, tuple[Model, ...]]:
    """Return the models of each route; without `[routes]`, `default` is all models in order."""
    models = {model.id: model for model in config.models}
    named = config.routes or {"default": tuple(models)}
    return {name: tuple(models[one] for one in route) for name, route in named.items()}


class Tried(Struct, frozen=True):
    """One failed run; `spoke` when some of its text has been passed on already."""

    model: str
    reason: Reason
    after: float | None = None
    spoke: bool = False


class Ask(Struct, frozen=True):
    """Ask this model after `pause` seconds."""

    model: Model
    pause: float = 0.0


class Wait(Struct, frozen=True):
    """No model may be asked just now: look again after `pause` seconds."""

    pause: float


class GiveUp(Struct, frozen=True):
    """Nothing more can be done before the deadline."""

    reason: str


Next = Ask | Wait | GiveUp


def next_step(
    route: tuple[Model, ...],
    tried: tuple[Tried, ...],
    *,
    opens_in: Mapping[str, float],
    left: float,
    jitter: float,
) -> Next:
    """Decide what to do next for one turn.

    The model that failed is asked again (up to its `retries`) when a repeat may help and costs
    little; else the next of the route whose circuit is closed. When none is left, the repeats that
    cost more are due: after a long pause, a time-out, or text that was passed on already.
    `left` are the seconds to the deadline, `opens_in` those until each model's circuit lets a call
    through, and `jitter` (0 to 1) spreads the repeats of many turns.
    """
    if left <= 0:
        return GiveUp("deadline")
    repeats = [ask for model in route if (ask := _repeat(model, tried, opens_in, jitter))]
    cheap = [ask for ask in repeats if _is_cheap(ask, tried[-1])]
    fresh = [model for model in route if all(one.model != model.id for one in tried)]
    ready = [Ask(model) for model in fresh if opens_in[model.id] <= 0]
    asks = cheap or ready or sorted(repeats, key=lambda ask: ask.pause)
    if asks:
        return asks[0] if asks[0].pause < left else GiveUp("deadline")
    if not fresh:
        return GiveUp("all models failed")
    pause = min(opens_in[model.id] for model in fresh)
    return Wait(min(RECHECK, pause)) if pause < left else GiveUp("all circuits open")


def _repeat(
    model: Model, tried: tuple[Tried, ...], opens_in: Mapping[str, float], jitter: float
) -> Ask | None:
    """Return the repeat of a model that has failed, if it may have one."""
    runs = [one for one in tried if one.model == model.id]
    if not runs or len(runs) > model.retries or opens_in[model.id] > 0:
        return None
    if runs[-1].reason not in REPEATABLE:
        return None
    return Ask(model, pause_before(len(runs), runs[-1].after, jitter))


def _is_cheap(ask: Ask, last: Tried) -> bool:
    """Tell whether the run that failed last is better repeated than given to the next model."""
    return (
        ask.model.id == last.model
        and ask.pause <= PATIENCE
        and not last.spoke
        and last.reason not in SLOW
    )


def pause_before(runs: int, after: float | None, jitter: float) -> float:
    """Return the pause after the n-th failed run: doubled each time, half of it by chance."""
    backoff = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (runs - 1)) * (0.5 + jitter / 2)
    return backoff if after is None else after + backoff * jitter
