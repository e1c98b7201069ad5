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


class ModerationProvider(Section, frozen=True, kw_only=True):
    """`[moderation.provider]`: an endpoint that is asked about what the lists let pass."""

    base_url: Annotated[
        str, Meta(description="of OpenAI's protocol: `<base_url>/moderations` is called")
    ]
    model: str = "omni-moderation-latest"
    api_key: Secret = field(default_factory=Secret)
    timeout: Annotated[float, Meta(gt=0, le=4, description="seconds for one text")] = 1.0
    directions: tuple[Literal["in", "out"], ...] = ("in", "out")
    categories: Annotated[
        tuple[str, ...], Meta(description="that refuse a text; none: all that it flags")
    ] = ()
    on_failure: Annotated[
        Literal["pass", "block"], Meta(description="what becomes of texts while it is away")
    ] = "pass"
    breaker_failures: Annotated[
        int, Meta(ge=1, description="failures in a row after which it is left alone")
    ] = 3
    breaker_pause: Annotated[float, Meta(gt=0, description="seconds until it is tried again")] = (
        10.0
    )


class Moderation(Section, frozen=True, kw_only=True):
    """`[moderation]`: the same policy for what users and models say."""

    lists: tuple[WordList, ...] = ()
    provider: ModerationProvider | None = None
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
