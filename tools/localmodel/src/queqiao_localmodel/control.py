"""What a test may tell the fake model, and what it may ask it."""

from collections import Counter, deque
from collections.abc import Generator, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from queqiao_localmodel.completion import ChatRequest, Step
from queqiao_localmodel.script import Script, Seconds, applied, directed

KEPT_CALLS = 200


class Control(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /control`. Each replaces the one before it as a whole.

    Raises:
        ValueError: an entry of `fail` is no directive.
    """

    latency: Seconds = 0.0  # before every response
    tokens_per_second: Annotated[float, Meta(ge=0, le=100_000)] = 0.0
    fail: tuple[str, ...] = ()  # directives without brackets, taken in turn
    fail_count: Annotated[int, Meta(ge=0)] | None = None  # calls that fail; None: all
    only_model: str = ""  # empty: every model

    def __post_init__(self) -> None:
        for directive in self.fail:
            if applied(Script(), directive) is None:
                raise ValueError(f"fail: {directive!r} is not a directive")

    def rules(self, model: str) -> bool:
        """Whether calls of this model are meant."""
        return self.only_model in ("", model)


class Calls:
    """The memory of the fake model: what it was told, and who called."""

    def __init__(self) -> None:
        self.active = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but the answers that are under way."""
        self.total = 0
        self.abandoned = 0  # callers that left before the end of their answer
        self.peak = self.active  # the most answers that were under way at once
        self.models: Counter[str] = Counter()
        self.bodies: deque[bytes] = deque(maxlen=KEPT_CALLS)
        self.obey(Control())

    def obey(self, control: Control) -> None:
        """Answer every further call as `control` says, and count its failures from zero."""
        self.control = control
        self.failed = 0

    def script_for(self, request: ChatRequest, body: bytes) -> Script:
        """Note a call, and decide how it is answered.

        The user's directives win over those in the model's name, and those over the control's
        speed; a failure that the control asks for wins over all of them.
        """
        self.total += 1
        self.models[request.model] += 1
        self.bodies.append(body)
        script = Script()
        if self.control.rules(request.model):
            script = self._controlled()
        script = directed(directed(script, request.model), request.question)
        return self._failing(script, request.model)

    def _controlled(self) -> Script:
        control = self.control
        return Script(delay=control.latency, tokens_per_second=control.tokens_per_second)

    def _failing(self, script: Script, model: str) -> Script:
        control = self.control
        spent = control.fail_count is not None and self.failed >= control.fail_count
        if not control.fail or spent or not control.rules(model):
            return script
        directive = control.fail[self.failed % len(control.fail)]
        self.failed += 1
        return applied(script, directive) or script

    def tracked(self, steps: Iterator[Step]) -> Generator[Step, None, None]:
        """The steps of an answer, counted as under way until their end or their caller's."""
        self.active += 1
        self.peak = max(self.peak, self.active)
        abandoned = 1
        try:
            yield from steps
            abandoned = 0
        finally:
            self.active -= 1
            self.abandoned += abandoned

    def report(self) -> dict[str, Any]:
        """The body of `GET /control/calls`. No header is ever kept, so no key can be in it."""
        return {
            "total": self.total,
            "models": self.models,
            "active": self.active,
            "peak": self.peak,
            "abandoned": self.abandoned,
            "requests": [Raw(body) for body in self.bodies],
        }


decode_control = msgspec.json.Decoder(Control).decode
