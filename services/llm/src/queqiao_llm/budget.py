"""Whether a turn may still be answered today, by the budgets of the configuration. Pure."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from queqiao_common.settings import Budgets, Ceiling

from queqiao_llm.usage import Tally, UserDay

UsedUp = Literal[
    "user_questions",
    "user_tokens",
    "persona_questions",
    "persona_tokens",
    "account_tokens",
    "account_cost",
]


class Allowance(Struct, frozen=True):
    """What a user may have in a day, and by which tier; None: anything."""

    tier: str
    questions: int | None
    tokens: int | None


class Refusal(Struct, frozen=True):
    """What is used up, who is told so and how."""

    reason: UsedUp
    text: str
    tier: str = ""


def allowance(budgets: Budgets, account: str, conv: str) -> Allowance:
    """Return what a user may have: by the first tier that names them, or their account."""
    for tier in budgets.tiers:
        if conv in tier.users or account in tier.accounts:
            return Allowance(tier.id, tier.questions, tier.tokens)
    return Allowance("default", budgets.questions, budgets.tokens)


def over_ceiling(budgets: Budgets, account: str, spent: Tally) -> Refusal | None:
    """Refuse everybody where their account has cost what it may in a day."""
    ceiling = budgets.accounts.get(account, budgets.ceiling)
    used_up = next(_beyond(ceiling, spent), None)
    return Refusal(used_up, budgets.account_text) if used_up else None


def over_allowance(
    budgets: Budgets, *, account: str, conv: str, persona: str, day: UserDay
) -> Refusal | None:
    """Refuse a user who has had all that they may have in a day, of everything or of a persona."""
    may, had = allowance(budgets, account, conv), day.total
    if _is_reached(may.questions, had.questions):
        return Refusal("user_questions", budgets.user_text, may.tier)
    if _is_reached(may.tokens, had.tokens):
        return Refusal("user_tokens", budgets.user_text, may.tier)
    limits, of_it = budgets.personas.get(persona), day.personas.get(persona, Tally())
    if limits is not None and _is_reached(limits.questions, of_it.questions):
        return Refusal("persona_questions", budgets.persona_text, may.tier)
    if limits is not None and _is_reached(limits.tokens, of_it.tokens):
        return Refusal("persona_tokens", budgets.persona_text, may.tier)
    return None


def _beyond(ceiling: Ceiling, spent: Tally) -> Iterator[UsedUp]:
    if _is_reached(ceiling.tokens, spent.tokens):
        yield "account_tokens"
    if ceiling.cost is not None and spent.cost_micros >= ceiling.cost * 1e6:
        yield "account_cost"


def _is_reached(limit: int | None, used: int) -> bool:
    return limit is not None and used >= limit
