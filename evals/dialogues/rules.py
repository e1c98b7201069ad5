"""What rules can tell of an answer. Pure."""

import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher

from msgspec import Struct

from evals.dialogues.reading import Expect

REPEATED = 0.7
"""Likeness above which an answer says what the one before it said."""
_ANSWERING = re.compile(r"[。！？!?\n：:，,]")


class Finding(Struct, frozen=True):
    """What was looked for, and whether it was so; None: nobody could tell."""

    check: str
    is_so: bool | None
    why: str = ""


def findings(answer: str, before: str, expect: Expect) -> list[Finding]:
    """Return what the rules say of an answer; `before` is the one before it."""
    found = [*_words(answer, expect), *_sizes(answer, expect), *_forms(answer, expect)]
    if not answer.strip():
        found.append(Finding("there is an answer", is_so=False))
    if expect.is_new:
        ratio = SequenceMatcher(None, answer, before).ratio()
        found.append(Finding("not a repetition", ratio < REPEATED, f"likeness {ratio:.2f}"))
    return found


def _words(answer: str, expect: Expect) -> Iterator[Finding]:
    for words in expect.has:
        yield Finding(f"says {words}", any(word in answer for word in words.split("|")))
    for words in expect.lacks:
        yield Finding(f"does not say {words}", words not in answer)
    for pattern in expect.matches:
        yield Finding(f"matches {pattern}", bool(re.search(pattern, answer)))
    if expect.cites:
        yield Finding(f"cites {expect.cites}", is_cited(answer, expect.cites))
    if expect.number:
        yield Finding(f"has the number {expect.number}", has_number(answer, expect.number))
    if expect.gives_away:
        told = expect.gives_away
        yield Finding(f"does not give away {told}", not has_number(answer, told))


def _sizes(answer: str, expect: Expect) -> Iterator[Finding]:
    size = len(answer)
    if expect.min_chars:
        yield Finding(
            f"at least {expect.min_chars} characters", size >= expect.min_chars, f"{size}"
        )
    if expect.max_chars:
        yield Finding(f"at most {expect.max_chars} characters", size <= expect.max_chars, f"{size}")


def _forms(answer: str, expect: Expect) -> Iterator[Finding]:
    if expect.asks is not None:
        yield Finding(
            "asks" if expect.asks else "does not ask", has_question(answer) == expect.asks
        )
    if expect.idiom:
        begins = re.search(f"{expect.idiom}[\u4e00-\u9fff]{{3}}", answer)
        yield Finding(f"an idiom with {expect.idiom}", bool(begins), begins[0] if begins else "")
    if expect.poem:
        size, lines = map(int, expect.poem.split("x"))
        found = longest_run(answer, lambda line: len(line) == size)
        yield Finding(f"a poem of {expect.poem}", found >= lines, f"{found} lines of {size}")


def is_cited(answer: str, title: str) -> bool:
    """Whether an answer names a source of this title."""
    return bool(re.search(rf"〔来源：[^〕]*{re.escape(title)}[^〕]*〕", answer))


def has_number(answer: str, number: str) -> bool:
    """Whether a number (or a result like `x = 6`) stands in a text as such, not within another."""
    pattern = r"\s*".join(map(re.escape, number.split()))
    return bool(re.search(rf"(?<![\d.]){pattern}(?![\d]|\.\d)", answer.replace(",", "")))


def has_question(answer: str) -> bool:
    """Whether a text asks something."""
    return "？" in answer or "?" in answer


def longest_run(answer: str, fits: Callable[[str], bool]) -> int:
    """Return how many parts between punctuation marks follow each other and all fit."""
    best = run = 0
    for line in filter(None, map(str.strip, _ANSWERING.split(answer))):
        run = run + 1 if fits(line) else 0
        best = max(best, run)
    return best
