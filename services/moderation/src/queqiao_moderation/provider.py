"""A second opinion: a moderation endpoint in the protocol of OpenAI's `/moderations`.

Asked about what the word lists let pass. When it is away, the configured fail mode speaks: `pass`
trusts the lists alone, `block` says nothing that nobody has looked at. A circuit breaker keeps a
dead endpoint from costing every message its timeout.
"""

import logging
import time
from collections.abc import Callable
from typing import Literal

import httpx
import msgspec
from msgspec import Struct
from prometheus_client import Counter
from queqiao_common import breaker
from queqiao_common.breaker import Breaker
from queqiao_common.settings import ModerationProvider as Settings

log = logging.getLogger(__name__)

ASKED = Counter(
    "queqiao_moderation_provider_total",
    "Texts that the moderation endpoint was asked about, by what came of it.",
    ["outcome"],
)
LONGEST = 20_000
"""Characters of a text that are shown to the endpoint."""

Opinion = Literal["fine", "flagged", "unknown"]


class _Result(Struct):
    flagged: bool = False
    categories: dict[str, bool | None] = {}


class _Answer(Struct):
    results: list[_Result]


_decode = msgspec.json.Decoder(_Answer).decode


def opinion_of(body: bytes, categories: tuple[str, ...]) -> Opinion:
    """Read an answer: flagged by any of `categories`, or where none is named, by the endpoint.

    Raises:
        msgspec.MsgspecError: it is not an answer of this protocol.
    """
    results = _decode(body).results
    if not results:
        return "unknown"
    if not categories:
        return "flagged" if any(one.flagged for one in results) else "fine"
    named = {name for one in results for name, is_hit in one.categories.items() if is_hit}
    return "flagged" if named & set(categories) else "fine"


class Provider:
    """Asks the endpoint, and remembers whether it is worth asking. `clock` is monotonic."""

    def __init__(
        self,
        settings: Settings,
        http: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._key = settings.api_key.reveal()
        self._breaker = Breaker()
        self._rules = breaker.Rules(settings.breaker_failures, settings.breaker_pause)

    @property
    def is_down(self) -> bool:
        """Whether it is left alone at the moment, so that the fail mode speaks."""
        return self._breaker.opened is not None

    async def is_refused(self, text: str, direction: Literal["in", "out"]) -> bool:
        """Whether a text must not pass: by the endpoint, or while it is away by the fail mode."""
        if direction not in self._settings.directions or not text.strip():
            return False
        opinion = await self._opinion(text)
        ASKED.labels(opinion).inc()
        if opinion == "unknown":
            return self._settings.on_failure == "block"
        return opinion == "flagged"

    async def _opinion(self, text: str) -> Opinion:
        now = self._clock()
        if breaker.opens_in(self._breaker, self._rules, now) > 0:
            return "unknown"
        self._breaker = breaker.begun(self._breaker, now)
        try:
            answer = await self._http.post(
                f"{self._settings.base_url.rstrip('/')}/moderations",
                json={"model": self._settings.model, "input": text[:LONGEST]},
                headers={"authorization": f"Bearer {self._key}"} if self._key else {},
                timeout=self._settings.timeout,
            )
            answer.raise_for_status()
            opinion = opinion_of(answer.content, self._settings.categories)
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            self._breaker = breaker.failed(self._breaker, self._rules, self._clock())
            fields = {"error": type(error).__name__, "open": self.is_down}
            log.warning("moderation_provider.failed", extra=fields)
            return "unknown"
        self._breaker = Breaker()
        return opinion
