"""What may be said."""

from typing import Annotated, Literal

from msgspec import Meta, field

from queqiao_common.settings.base import Name, Secret, Section


class WordList(Section, frozen=True, kw_only=True):
    """One `[[moderation.lists]]` entry."""

    name: Name
    action: Literal["block", "mask"] = "block"
    words: tuple[str, ...] = ()
    file: Annotated[str, Meta(description="one word a line; `#` begins a comment")] = ""
    directions: tuple[Literal["in", "out"], ...] = ("in", "out")


class Moderation(Section, frozen=True, kw_only=True):
    """`[moderation]`: the same policy for what users and models say."""

    lists: tuple[WordList, ...] = ()
    allow: Annotated[tuple[str, ...], Meta(description="never hits, though a list has it")] = ()
    mask: Annotated[str, Meta(min_length=1, max_length=1)] = "*"
    blocked_input: str = "这个话题我不方便聊，换个问题试试吧。"
    blocked_output: str = "这部分内容不便展示，换个问题试试吧。"
    throttled: str = "你发得太快啦，请稍等片刻再继续。"
    messages_per_minute: Annotated[int, Meta(ge=0, description="of one user; 0: no limit")] = 30


class Privacy(Section, frozen=True, kw_only=True):
    """`[privacy]`."""

    pepper: Annotated[
        Secret, Meta(description="keys the hash of a user; empty: the account's callback token")
    ] = field(default_factory=Secret)
