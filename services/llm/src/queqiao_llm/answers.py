"""What the bucket `answers` holds: answers for everybody, and leases of those who fetch one.

Both lie under the key of the question, so that a lease turns into its answer by one
compare-and-swap, and there is no moment between the two.
"""

import base64
import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct
from queqiao_common.events import Millis, Prompt
from queqiao_common.settings import Model

from queqiao_llm.matching import normalise

NO_KNOWLEDGE = "0"
"""The version of what a persona looks up, where it looks up nothing."""
WARMING = "warm"
"""The conversation of questions that nobody asked: `queqiao warm` wants their answers kept."""


class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer for everybody who asks this; without `text`, the lease of who is fetching it.

    With `expires_ms` 0 it is kept for good, as a pinned one is. `writer` is the holder of a lease.
    """

    question: str
    text: str = ""
    created_ms: Millis
    expires_ms: Millis = 0
    hits: int = 0
    pinned: bool = False
    source: Literal["model", "warm", "operator"] = "model"
    writer: str = ""

    def is_over(self, now_ms: int) -> bool:
        """Whether its time has passed."""
        return 0 < self.expires_ms <= now_ms

    @property
    def is_curated(self) -> bool:
        """Whether an operator wanted it to be here, rather than some user's question."""
        return self.pinned or self.source != "model"


def lives(now_ms: Callable[[], int]) -> Callable[[Answer], float]:
    """Return how many seconds a document lives from now on."""

    def seconds(answer: Answer) -> float:
        return (answer.expires_ms - now_ms()) / 1000 if answer.expires_ms else math.inf

    return seconds


def persona_of(prompt: Iterable[Prompt]) -> str:
    """Return who answers: all that the model is told beside the conversation."""
    return "\n".join(message.content for message in prompt if message.role == "system")


def shelf_of(
    *,
    account: str,
    persona: str,
    route: str,
    models: Iterable[Model],
    knowledge: str = NO_KNOWLEDGE,
) -> str:
    """Return where answers of one kind lie: another persona or model would answer otherwise.

    So would the same one with other documents; `knowledge` is their version.
    """
    parts = (persona, route, *(f"{one.id}:{one.model}" for one in models), knowledge)
    return f"{account}.{_digest(parts, 16)}"


def key_of(shelf: str, question: str) -> str:
    """Return the key of a question: questions that differ in punctuation alone share one."""
    return f"{shelf}.{_digest((normalise(question),), 26)}"


def shelf_in(key: str) -> str:
    """Return the shelf of a key."""
    return key.rpartition(".")[0]


def _digest(parts: Iterable[str], size: int) -> str:
    joined = "\0".join(parts).encode()
    return base64.b32encode(hashlib.sha256(joined).digest()).decode()[:size].lower()
