"""The platform's numbers for everything beyond pushes, tokens and quotas.

Each is a section of the configuration file; source: protocol reference 7 to 10.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
KIB = 1 << 10
MIB = 1 << 20


class MediaRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[media]`: temporary material (reference 7). Sizes are bytes."""

    lifetime: Seconds = 3 * 86400.0
    image_limit_bytes: Count = 10 * MIB
    voice_limit_bytes: Count = 2 * MIB
    video_limit_bytes: Count = 10 * MIB
    thumb_limit_bytes: Count = 64 * KIB
    file_limit_bytes: Annotated[int, Meta(ge=0, description="WeCom only")] = 20 * MIB
    voice_seconds: Seconds = 60.0
    kept: Annotated[int, Meta(ge=1, description="per account; the oldest goes first")] = 2000


class Label(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the content check says of a text (or the address of a medium) with this keyword."""

    keyword: Annotated[str, Meta(min_length=1)]
    label: int = 21000
    suggest: Literal["pass", "review", "risky"] = "risky"


LABELS = (
    Label(keyword="敏感政治", label=20001),
    Label(keyword="色情", label=20002),
    Label(keyword="辱骂", label=20003),
    Label(keyword="违法", label=20006),
    Label(keyword="诈骗", label=20008),
    Label(keyword="广告", label=10001, suggest="review"),
)


class ContentRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[content]`: msg_sec_check and media_check_async (reference 8)."""

    labels: tuple[Label, ...] = LABELS
    per_minute: Count = 4000
    per_day: Count = 2_000_000
    active_within: Annotated[float, Meta(ge=0, description="else 61010")] = 2 * 3600.0
    limit_characters: Count = 2500
    media_delay: Annotated[float, Meta(ge=0, description="until wxa_media_check is pushed")] = 1.0


class WeComRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[wecom]`: own apps (reference 10.1)."""

    text_limit_bytes: Annotated[int, Meta(ge=0, description="longer is cut, silently")] = 2048
    per_minute: Annotated[int, Meta(ge=0, description="to a member; more is lost")] = 30
    echo_timeout: Annotated[float, Meta(ge=0, description="of the URL verification")] = 1.0


class KfRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[kf]`: WeChat customer service of WeCom (reference 10.3)."""

    retention: Seconds = 3 * 86400.0
    token_lifetime: Seconds = 600.0
    without_token_per_minute: Annotated[int, Meta(ge=0, description="more: 45009")] = 10
    message_count: Count = 5
    message_window: Seconds = 48 * 3600.0
    code_lifetime: Annotated[float, Meta(ge=0, description="of a welcome code")] = 20.0
    refuse_at_once: Annotated[
        bool, Meta(description="95001, 95002 instead of a later msg_send_fail")
    ] = False
    fail_delay: Annotated[float, Meta(ge=0, description="until msg_send_fail")] = 0.2
    duplicate_errcode: Annotated[int, Meta(description="for a msgid used before")] = 40058
    text_limit_bytes: Count = 2048


class BotRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[bot]`: WeCom AI bots in callback mode (reference 10.2)."""

    poll_every: Seconds = 1.0
    stream_lifetime: Annotated[float, Meta(ge=0, description="since the user's message")] = 360.0
    in_flight: Annotated[int, Meta(ge=1, description="messages of one user")] = 3
    text_limit_bytes: Count = 20480
    response_lifetime: Seconds = 3600.0
    media_lifetime: Seconds = 300.0


class DailyRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[daily]`: calls a day of one account (reference 5.3); more: 45009."""

    custom_send: Count = 500_000
    media_upload: Count = 100_000
    media_get: Count = 200_000
    menu_create: Count = 1000
    qrcode_create: Count = 100_000
    user_info: Count = 5_000_000
