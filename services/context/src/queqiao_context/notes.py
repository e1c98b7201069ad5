"""Notes: facts about a user that outlive the conversation. Pure."""

from collections.abc import Iterable

from msgspec import Struct

LONGEST = 200
"""Characters of one fact."""


class Fact(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something worth remembering of a user, and the turn that it was learnt in."""

    text: str
    turn: int = 0


class Remembered(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document of the bucket `notes`: what is known of one user, the oldest fact first."""

    facts: tuple[Fact, ...] = ()


def learnt(
    known: Remembered | None, texts: Iterable[str], *, turn: int, limit: int, forgotten: int = 0
) -> Remembered | None:
    """Return the facts with new ones, the latest `limit` of them; None: none of them is new.

    What was learnt up to the turn `forgotten` is no longer ours.
    """
    before = known.facts if known else ()
    facts = [fact for fact in before if fact.turn > forgotten]
    for text in texts if turn > forgotten else ():
        said = " ".join(text.split())[:LONGEST]
        if said and said.casefold() not in {fact.text.casefold() for fact in facts}:
            facts.append(Fact(text=said, turn=turn))
    latest = tuple(facts[-limit:])
    return None if latest == before else Remembered(facts=latest)


def texts_of(known: Remembered | None, *, forgotten: int = 0) -> tuple[str, ...]:
    """Return the facts that are still ours, in words."""
    return tuple(fact.text for fact in (known.facts if known else ()) if fact.turn > forgotten)
