"""What answers are looked up in."""

from queqiao_common.settings.base import Section


class Knowledge(Section, frozen=True, kw_only=True):
    """`[knowledge]`: how documents are searched before a model answers."""

    enabled: bool = True
