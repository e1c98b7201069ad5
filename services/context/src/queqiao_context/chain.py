"""What lies between the cursor and a message: nothing is absorbed before all of it is known."""

from dataclasses import dataclass

from queqiao_context.document import Arrival


@dataclass(frozen=True, slots=True)
class Chain:
    """All sequences of a conversation's inbound messages after `after`, up to `upto`.

    `verdicts` are what moderation has stored about them. As a rule they are on their way to us
    anyway; where the document was lost, or its stream restored, they came long ago.
    """

    after: int
    upto: int
    sequences: tuple[int, ...]
    verdicts: tuple[Arrival, ...] = ()

    def covers(self, after: int, upto: int) -> bool:
        """Whether it knows all that lies between two sequences."""
        return self.after <= after and upto <= self.upto


class Gap(Exception):  # noqa: N818 - an answer, not an accident
    """The messages after `after` and up to `upto` must be known before anything is absorbed."""

    def __init__(self, after: int, upto: int) -> None:
        super().__init__(f"after {after} up to {upto}")
        self.after = after
        self.upto = upto


class Doubt(Exception):  # noqa: N818 - a question, not an accident
    """The document was written in another epoch than `Rules.epoch`: which of them is over?"""
