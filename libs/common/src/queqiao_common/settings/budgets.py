"""What users and accounts may cost in a day."""

from queqiao_common.settings.base import Section


class Budgets(Section, frozen=True, kw_only=True):
    """`[budgets]`: limits by user, persona and account, counted by the calendar day."""

    enabled: bool = False
