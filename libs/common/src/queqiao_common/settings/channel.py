"""WeChat: accounts, how their callbacks are received and how replies leave."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, field

from queqiao_common.settings.base import Name, Secret, Section

WECHAT_API = "https://api.weixin.qq.com"
WECOM_API = "https://qyapi.weixin.qq.com"

Mode = Literal["passive", "active", "auto", "stream"]
"""How replies leave; `stream`: the platform asks for the text so far again and again."""

MODES: Mapping[str, Mode] = {
    "subscription": "passive",
    "service": "auto",
    "miniprogram": "active",
    "wecom": "auto",
    "wecom_kf": "active",
    "wecom_bot": "stream",
}
"""What each kind of account can do best."""


class Account(Section, frozen=True, kw_only=True):
    """One `[[accounts]]` entry: a WeChat account. Durations are seconds."""

    id: Annotated[str, Meta(pattern="^[a-z0-9_-]+$", description="the path: /wechat/<id>")]
    kind: Literal["subscription", "service", "miniprogram", "wecom", "wecom_kf", "wecom_bot"] = (
        "service"
    )
    appid: Annotated[str, Meta(description="the AppID; of a WeCom account the CorpID")] = ""
    agent_id: Annotated[int, Meta(ge=0, description="wecom alone: the app's AgentId")] = 0
    token: Annotated[Secret, Meta(description="signs callbacks")]
    secret: Annotated[Secret, Meta(description="the AppSecret; only egress needs it")] = field(
        default_factory=Secret
    )
    aes_key: Annotated[
        Secret, Meta(description="with it, safe mode is required and replies are encrypted")
    ] = field(default_factory=Secret)
    previous_aes_key: Annotated[Secret, Meta(description="accepted while keys are changed")] = (
        field(default_factory=Secret)
    )
    delivery: Annotated[
        Literal["", "passive", "active", "auto"],
        Meta(description="empty: what the kind of account can do (see docs/wechat.md)"),
    ] = ""
    passive_window: Annotated[
        float, Meta(gt=0, le=4.9, description="how long a callback is held open for a reply")
    ] = 4.5
    api_base: Annotated[str, Meta(description="empty: WeChat's own (WeCom's for its kinds)")] = ""
    markdown: Annotated[
        bool,
        Meta(description="wecom alone, with `active`: send Markdown, which WeCom's client shows"),
    ] = False
    persona: Name = "assistant"
    welcome: Annotated[str, Meta(description="said to a new follower; empty: nothing")] = (
        "你好，欢迎关注！有什么想问的，直接发给我就好。"
    )

    @property
    def is_wecom(self) -> bool:
        """Whether it belongs to WeCom rather than to WeChat itself."""
        return self.kind.startswith("wecom")

    @property
    def api(self) -> str:
        """Return the address of the API."""
        return self.api_base or (WECOM_API if self.is_wecom else WECHAT_API)

    @property
    def mode(self) -> Mode:
        """How replies leave: as configured, or what the kind of account can do."""
        return self.delivery or MODES[self.kind]


class Delivery(Section, frozen=True, kw_only=True):
    """`[delivery]`: how replies leave. Sizes are bytes of UTF-8."""

    max_bytes: Annotated[
        int, Meta(ge=200, le=2048, description="of one message; WeChat takes 2,048")
    ] = 2000
    markdown: Annotated[bool, Meta(description="false: convert to what a chat can show")] = False
    label: Annotated[
        str, Meta(description="marks AI text where the API's own mark is not available")
    ] = "（AI 生成）"
    label_by_api: Annotated[
        bool, Meta(description="mark customer-service messages by `aimsgcontext`")
    ] = True
    typing: Annotated[
        bool, Meta(description="show 对方正在输入 while a late answer is written")
    ] = True
    quota: Annotated[int, Meta(ge=1, description="API messages after a user's message")] = 5
    quota_window: Annotated[float, Meta(gt=0)] = 172_800.0
    event_quota: Annotated[int, Meta(ge=1, description="after a menu click, follow or scan")] = 3
    event_quota_window: Annotated[float, Meta(gt=0)] = 60.0
    enter_quota: Annotated[
        int, Meta(ge=1, description="after entering the chat of a Mini Program")
    ] = 2
    ambiguous: Annotated[
        Literal["resend", "drop"],
        Meta(description="a part whose sender died during the call: say it again, or not"),
    ] = "resend"
    unanswered: Annotated[
        Literal["", "resend", "drop"],
        Meta(
            description="a part that WeChat was sent whole and said nothing to: say it again, or"
            " take it for shown; by default as `ambiguous`"
        ),
    ] = ""
    thinking: Annotated[str, Meta(description="when a passive-only account's last window ends")] = (
        "我还在想，请稍等几秒，回复「1」查看答案。"
    )
    more: Annotated[str, Meta(description="ends a message when more waits for the user's next")] = (
        "（未完，回复「1」继续）"
    )
    cut: Annotated[str, Meta(description="ends the last message when the quota is too small")] = (
        "（内容较长，后面的没有发完，回复任意内容可继续提问）"
    )
    merged: Annotated[
        str, Meta(description="an AI bot's answer to a message that is answered with a later one")
    ] = "（已和下一条一起回答）"
    picture: Annotated[str, Meta(description="in place of a picture that cannot be shown")] = (
        "［图片］"
    )
    outage_after: Annotated[
        int, Meta(ge=1, description="failed calls in a row that are an outage of WeChat's API")
    ] = 5


class IngressSettings(Section, frozen=True, kw_only=True):
    """`[ingress]`: the public door. Sizes are bytes."""

    max_body: Annotated[int, Meta(ge=1024)] = 65_536
    publish_timeout: Annotated[
        float, Meta(gt=0, le=4, description="before the callback is answered 503")
    ] = 0.9
    max_waiting: Annotated[
        int, Meta(ge=1, description="callbacks held open by one replica; above it: busy text")
    ] = 5000
    max_open: Annotated[
        int,
        Meta(
            ge=1,
            description="callbacks open in one replica, read, handled or held; above it: 503, so "
            "that WeChat comes again. Keep it above `max_waiting`",
        ),
    ] = 8000
    body_timeout: Annotated[float, Meta(gt=0, description="for a slow body")] = 3.0
    max_age: Annotated[
        float,
        Meta(ge=0, description="seconds: callbacks signed longer ago are refused; 0: of any age"),
    ] = 0.0
    linger: Annotated[
        float,
        Meta(
            ge=0,
            le=120,
            description="seconds: callbacks are taken after SIGTERM, while /readyz says stopping",
        ),
    ] = 3.0
    busy: str = "现在咨询的人有点多，请稍后再发一次。"
