"""How many tokens a text costs a model, estimated: no tokenizer fits them all. Pure."""

import re
from functools import lru_cache

SAFETY = 1.15
"""Margin on the estimate: its error on chat texts reaches a fifth (docs/adr/0006)."""

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_WORD = re.compile(r"[A-Za-z]+")
_DIGITS = re.compile(r"[0-9]+")
_OTHER = re.compile(r"[^\sA-Za-z0-9\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")


@lru_cache(maxsize=4096)  # a history is counted again with every question
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
