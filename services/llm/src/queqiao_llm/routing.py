"""Which model is asked next, and when: the whole of retry and fallback in one function. Pure."""

import math
from collections.abc import Callable, Mapping
from itertools import groupby

from msgspec import Struct
from queqiao_common.settings import Config, Model

from queqiao_llm.completion import Reason
from queqiao_llm.pace import Times, in_time

PATIENCE = 2.0
"""Seconds that are rather waited for the same model than given to the next one of the route."""
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 8.0
RECHECK = 1.0
"""Seconds after which a breaker whose trial is under way is looked at again."""

SLOW = frozenset({Reason.FIRST_TOKEN_TIMEOUT, Reason.TIMEOUT, Reason.BUSY})
REPEATABLE = frozenset(Reason) - {Reason.REFUSED, Reason.DEADLINE}


def routes_of(config: Config) -> dict[str, tuple[Model, ...]]:
    """Return the models of each route; without `[routes]`, `default` is all that write."""
    models = {model.id: model for model in config.models}
    speech = (config.media.transcribe, config.media.speak)
    named = config.routes or {"default": tuple(one for one in models if one not in speech)}
    return {name: tuple(models[one] for one in route) for name, route in named.items()}


def drawn(route: tuple[Model, ...], chance: Callable[[], float]) -> tuple[Model, ...]:
    """Return a route as it is for one turn: neighbours with weights in an order drawn by chance.

    Each comes first as often as its share of the weights says; those without one stay where they
    are. `chance` gives numbers from 0 up to 1.
    """
    order: list[Model] = []
    for is_weighted, neighbours in groupby(route, key=lambda model: model.weight is not None):
        group = list(neighbours)
        order += sorted(group, key=lambda one: _draw(one, chance)) if is_weighted else group
    return tuple(order)


def _draw(model: Model, chance: Callable[[], float]) -> float:
    """Return a model's place: the first to ring, of clocks that ring as often as they weigh."""
    return -math.log(1.0 - chance()) / model.weight if model.weight else math.inf


class Tried(Struct, frozen=True):
    """One failed run; `spoke` when some of its text has been passed on already."""

    model: str
    reason: Reason
    after: float | None = None
    spoke: bool = False


class Ask(Struct, frozen=True):
    """Ask this model after `pause` seconds.

    With `is_patient` there is no other to ask instead: what it allows is waited for. `second` is
    the one to be asked too where answers are raced for; `late` are those passed over, as they would
    be late.
    """

    model: Model
    pause: float = 0.0
    is_patient: bool = True
    second: Model | None = None
    late: tuple[str, ...] = ()


class Speed(Struct, frozen=True):
    """What is expected of each model, and the seconds left of the open window (0: none is)."""

    times: Mapping[str, Times | None] = {}
    window: float = 0.0


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
    rests: Mapping[str, float],
    speed: Speed,
    left: float,
    jitter: float,
) -> Next:
    """Decide what to do next for one turn.

    The model that failed is asked again (up to its `retries`) when a repeat may help and costs
    little; else the next of the route whose circuit is closed, whose keys do not rest and which can
    be in time. When none is left, the repeats that cost more are due: after a long pause, a
    time-out, or text that was passed on already.

    `left` are the seconds to the deadline, `opens_in` those until each model's circuit lets a call
    through, `rests` those until one of its keys is rested, and `jitter` (0 to 1) spreads the
    repeats of many turns.
    """
    if left <= 0:
        return GiveUp("deadline")
    repeats = [ask for model in route if (ask := _repeat(model, tried, opens_in, rests, jitter))]
    cheap = [ask for ask in repeats if _is_cheap(ask, tried[-1])]
    fresh = [model for model in route if all(one.model != model.id for one in tried)]
    waits = {model.id: max(opens_in[model.id], rests.get(model.id, 0.0)) for model in fresh}
    ready = tuple(model for model in fresh if waits[model.id] <= 0)
    if cheap:
        return _in_time(cheap[0], left)
    if ready:
        return _fresh(ready, speed, left)
    if repeats:
        return _in_time(min(repeats, key=lambda ask: ask.pause), left)
    if not fresh:
        return GiveUp("all models failed")
    pause = min(waits.values())
    return Wait(min(RECHECK, pause)) if pause < left else GiveUp("all circuits open")


def _in_time(ask: Ask, left: float) -> Ask | GiveUp:
    return ask if ask.pause < left else GiveUp("deadline")


def _fresh(ready: tuple[Model, ...], speed: Speed, left: float) -> Ask:
    """Return the first model that can be in time, and who might race it."""
    timely = in_time(ready, speed.times, window=speed.window, left=left)
    first = timely[0]
    return Ask(
        first,
        is_patient=len(ready) == 1,
        second=timely[1] if len(timely) > 1 else None,
        late=tuple(model.id for model in ready[: ready.index(first)]),
    )


def _repeat(
    model: Model,
    tried: tuple[Tried, ...],
    opens_in: Mapping[str, float],
    rests: Mapping[str, float],
    jitter: float,
) -> Ask | None:
    """Return the repeat of a model that has failed, if it may have one."""
    runs = [one for one in tried if one.model == model.id]
    if not runs or len(runs) > model.retries or opens_in[model.id] > 0:
        return None
    if runs[-1].reason not in REPEATABLE:
        return None
    pause = pause_before(len(runs), runs[-1].after, jitter)
    return Ask(model, max(pause, rests.get(model.id, 0.0)))


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
