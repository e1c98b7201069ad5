"""What the model is given: the persona, as much history as fits, and the question."""

import re
from collections.abc import Sequence

from queqiao_common.events import Prompt

SAFETY = 1.15
"""Margin on the estimate: its error on chat texts reaches a fifth (docs/adr/0006)."""
PER_MESSAGE = 4

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_WORD = re.compile(r"[A-Za-z]+")
_DIGITS = re.compile(r"[0-9]+")
_OTHER = re.compile(r"[^\sA-Za-z0-9\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")


def estimate_tokens(text: str) -> int:
    """Estimate how many tokens a text costs, on the high side for every common vocabulary.

    `len(text) / 4` is off by a half to three quarters on Chinese, so characters are counted by
    kind; the weights are those of the most expensive family (cl100k).
    """
    words = _WORD.findall(text)
    cost = 1.05 * len(_CJK.findall(text))
    cost += sum(1.02 + max(0, len(word) - 6) / 4 * 0.28 for word in words)
    cost += sum(len(digits) / 3 * 3.2 for digits in _DIGITS.findall(text))
    cost += 1.0 * len(_OTHER.findall(text)) + 1.6 * text.count("\n")
    return int(cost * SAFETY) + 1


def build_prompt(
    *,
    persona: str,
    history: Sequence[Prompt],
    question: str,
    max_messages: int,
    max_tokens: int,
) -> tuple[Prompt, ...]:
    """Return the persona, the latest history that fits, and the question, in that order.

    The question is never cut, even where it alone is over the budget. History is dropped from its
    oldest end and never begins with an answer.
    """
    fixed = [Prompt("system", persona)] if persona else []
    left = max_tokens - sum(_cost(message) for message in fixed) - estimate_tokens(question)
    kept: list[Prompt] = []
    for message in reversed(history[-max_messages:] if max_messages else ()):
        left -= _cost(message)
        if left < 0:
            break
        kept.append(message)
    kept.reverse()
    while kept and kept[0].role == "assistant":
        kept.pop(0)
    return (*fixed, *kept, Prompt("user", question))


def _cost(message: Prompt) -> int:
    return estimate_tokens(message.content) + PER_MESSAGE
