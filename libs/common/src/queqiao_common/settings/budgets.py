"""What users and accounts may cost in a day."""

from collections.abc import Iterator
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, field

from queqiao_common.settings.base import Name, Section

Most = Annotated[int, Meta(ge=0)]
Money = Annotated[float, Meta(ge=0)]


class Tier(Section, frozen=True, kw_only=True):
    """One `[[budgets.tiers]]` entry: what some users may have in a day. The first that fits counts.

    `users` are named as `queqiao conversation show` and the logs name them: no openid stands here.
    """

    id: Annotated[Name, Meta(description="as logs and spans name it")]
    users: Annotated[tuple[str, ...], Meta(description="conversations: `c_…`")] = ()
    accounts: Annotated[tuple[str, ...], Meta(description="all users of these accounts")] = ()
    questions: Annotated[Most | None, Meta(description="of each user in a day")] = None
    tokens: Annotated[Most | None, Meta(description="of each user in a day, in and out")] = None


class PersonaBudget(Section, frozen=True, kw_only=True):
    """One `[budgets.personas.<name>]` table: what each user may have of a persona in a day."""

    questions: Annotated[Most | None, Meta(description="of each user in a day")] = None
    tokens: Annotated[Most | None, Meta(description="of each user in a day, in and out")] = None


class Ceiling(Section, frozen=True, kw_only=True):
    """`[budgets.ceiling]`: what one account may cost in a day, all its users together.

    An account may have one of its own: `[budgets.accounts.<id>]`.

    It is kept to within what all replicas answer in five seconds, and what is being answered.
    """

    tokens: Annotated[Most | None, Meta(description="in and out")] = None
    cost: Annotated[
        Money | None, Meta(description="in `currency`, by the prices of the models")
    ] = None


class Budgets(Section, frozen=True, kw_only=True):
    """`[budgets]`: limits by user, persona and account, counted by the calendar day.

    Answers from the cache cost nothing. Usage is counted (`queqiao usage`) even where it is not
    limited; that of single users only with `enabled`.
    """

    enabled: Annotated[bool, Meta(description="refuse what is beyond the limits")] = False
    currency: Annotated[str, Meta(description="of the models' prices, as it is printed")] = "CNY"
    timezone: Annotated[str, Meta(description="whose midnight begins a day")] = "Asia/Shanghai"
    questions: Annotated[Most | None, Meta(description="of a user in no tier, in a day")] = None
    tokens: Annotated[Most | None, Meta(description="of a user in no tier, in a day")] = None
    tiers: tuple[Tier, ...] = ()
    personas: dict[str, PersonaBudget] = field(default_factory=dict)
    ceiling: Ceiling = field(default_factory=Ceiling)
    accounts: dict[str, Ceiling] = field(default_factory=dict)
    user_text: Annotated[str, Meta(description="said to a user who has had all for today")] = (
        "今天的提问次数已经用完啦，明天再来问我吧。"
    )
    persona_text: Annotated[str, Meta(description="when it is one persona's budget alone")] = (
        "今天这个话题聊得够多啦，换个话题，或者明天再继续吧。"
    )
    account_text: Annotated[str, Meta(description="when the account's ceiling is reached")] = (
        "今天来提问的朋友太多了，我先休息一下，明天再为您解答。"
    )


def budget_problems(budgets: Budgets) -> Iterator[str]:
    """Name what is wrong within the section and cannot be seen by its types."""
    try:
        ZoneInfo(budgets.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield f"budgets.timezone: no time zone is called {budgets.timezone!r}"
    for tier in budgets.tiers:
        if not tier.users and not tier.accounts:
            yield f"budgets.tiers[{tier.id}]: names neither `users` nor `accounts`"
