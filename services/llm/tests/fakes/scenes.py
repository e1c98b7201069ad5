"""What every fake model plays, whatever protocol it speaks: the same scenes, the same answer."""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum

NAME = "some-model"
KEY = "right-key"
SECRET = "right-secret"
APP = "app-1"


Heard = list[tuple[str, str]]
"""The messages of a question: who, and what."""


class Scene(StrEnum):
    STREAMED = "streamed"
    WHOLE = "whole"  # one message holds all of the answer
    EMPTY = "empty"
    ERROR = "error"
    RATE_LIMITED = "rate_limited"
    HANG = "hang"  # the question is read, nothing is ever said
    CUT = "cut"  # half of the answer, then the connection breaks
    GARBAGE = "garbage"  # half of the answer, then something that is none


@dataclass
class Play:
    """One fake model at work: what it plays, where, what it was asked, and who left early."""

    scene: Scene
    url: str = ""
    heard: Heard = field(default_factory=list)  # by the last that asked
    abandoned: asyncio.Event = field(default_factory=asyncio.Event)

    def parts(self, heard: Heard) -> list[str]:
        """What is said, in the messages in which it is said: all of it, or the first half."""
        whole = answer(heard[-1][1])
        pieces = [whole[start : start + 2] for start in range(0, len(whole), 2)]
        match self.scene:
            case Scene.WHOLE:
                return [whole]
            case Scene.EMPTY:
                return []
            case Scene.CUT | Scene.GARBAGE:
                return pieces[: len(pieces) // 2]
            case _:
                return pieces

    async def hang(self) -> None:
        """Say nothing until whoever asked is gone, and tell that."""
        try:
            await asyncio.Event().wait()
        finally:
            self.abandoned.set()


def answer(question: str) -> str:
    return f"答：{question}"


def words_of(error: str, heard: Heard) -> str:
    """An error as real servers word it: with what was asked, which nobody may log."""
    return f"{error} while answering {heard}"
