"""Runs of models for one turn, and what they say."""

from msgspec import Struct
from queqiao_common.events import ReplySegment

RUNS = 100
"""Attempts are numbered so that a redelivered request begins above all runs of its last one."""


class Said(Struct, frozen=True):
    """A piece of an answer; `cut` when it is the last of one that a limit or a filter ended."""

    segment: ReplySegment
    cut: bool = False


def first_run(delivery: int) -> int:
    """Return the attempt of the first run for a delivery of the request (which count from 1)."""
    return (delivery - 1) * RUNS + 1
