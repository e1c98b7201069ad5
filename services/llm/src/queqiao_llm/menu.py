"""Did you mean: a menu as a text, and the number that a user answers it with. Pure.

llm keeps no state: the menu is in the history, as the answer that it was, and comes back with the
next prompt.
"""

import re
from collections.abc import Sequence

from queqiao_common.events import Prompt

from queqiao_llm.matching import normalise

NONE_OF_THEM = 0

_LINE = re.compile(r"(?P<number>[1-9])\. (?P<question>.+)")
_CHOICE = re.compile(r"(?:选|我选|回复|第)?(?P<number>[0-9]|[一二三])(?:个|号|条)?")
_CHINESE = {"一": 1, "二": 2, "三": 3}


def render(questions: Sequence[str], *, title: str, hint: str) -> str:
    """Write a menu of at most 9 questions."""
    lines = [f"{number}. {question}" for number, question in enumerate(questions, start=1)]
    return "\n".join([title, *lines, hint])


def chosen(prompt: Sequence[Prompt], *, title: str) -> tuple[Prompt, ...] | None:
    """Return the turn as if the question that a number stands for had been asked in words.

    None: the last message is no choice from a menu. `0` stands for what was asked at first.
    """
    if [message.role for message in prompt[-3:]] != ["user", "assistant", "user"]:
        return None
    *earlier, asked, offered, reply = prompt
    questions = _read(offered.content, title)
    number = _number(reply.content, questions)
    if not questions or number is None or number > len(questions):
        return None
    if number == NONE_OF_THEM:
        return (*earlier, asked)
    return (*earlier, Prompt("user", questions[number - 1]))


def _read(text: str, title: str) -> list[str]:
    """Return the questions of a menu; none where the text is something else."""
    head, *lines = text.split("\n")
    if head.strip() != title.strip():
        return []
    found: list[str] = []
    for line in lines:
        match = _LINE.fullmatch(line.strip())
        if match is None or int(match["number"]) != len(found) + 1:
            break
        found.append(match["question"])
    return found


def _number(reply: str, questions: Sequence[str]) -> int | None:
    """Return which one a reply means: its number, or the question itself in full."""
    said = normalise(reply)
    if match := _CHOICE.fullmatch(said):
        number = match["number"]
        return _CHINESE.get(number) or int(number)
    whole = [normalise(question) for question in questions]
    return whole.index(said) + 1 if said in whole else None
