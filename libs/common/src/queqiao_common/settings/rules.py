"""Menus, keywords, scenes and the way to a person: what WeChat switches off with a callback."""

from typing import Annotated, Literal

from msgspec import Meta

from queqiao_common.settings.base import Name, Section


class Rule(Section, frozen=True, kw_only=True):
    """One `[[rules]]` entry: the first that fits decides. It needs one of the four outcomes."""

    on: Annotated[
        Literal["text", "click", "scan", "subscribe", "enter"],
        Meta(description="what the user did; `scan` is of a QR code, also by a new follower"),
    ] = "text"
    match: Annotated[
        Literal["exact", "prefix", "regex"],
        Meta(description="how `values` are compared with the text, the menu key or the scene"),
    ] = "exact"
    values: Annotated[tuple[str, ...], Meta(description="any of them; none: every one fits")] = ()
    accounts: Annotated[tuple[Name, ...], Meta(description="ids; none: all accounts")] = ()
    reply: Annotated[str, Meta(description="say this")] = ""
    persona: Annotated[str, Meta(description="talk to this persona from now on")] = ""
    handover: Annotated[bool, Meta(description="give the conversation to a person")] = False
    ask: Annotated[str, Meta(description="have the model answer this instead")] = ""


class Handover(Section, frozen=True, kw_only=True):
    """`[handover]`: giving a conversation to WeChat's own agents, and taking it back."""

    enabled: bool = True
    words: Annotated[tuple[str, ...], Meta(description="the whole message that asks for it")] = (
        "人工",
        "转人工",
        "人工客服",
        "人工服务",
    )
    back_words: Annotated[tuple[str, ...], Meta(description="the whole message that ends it")] = (
        "结束人工",
        "返回机器人",
        "转机器人",
    )
    failures: Annotated[
        int, Meta(ge=0, description="apologies in a row that hand over; 0: they do not")
    ] = 0
    by_model: Annotated[bool, Meta(description="let the model hand over by a tool call")] = False
    timeout: Annotated[
        float, Meta(gt=0, description="silence of the user after which the model answers again")
    ] = 1800.0
    agent: Annotated[str, Meta(description="`KfAccount` of one agent; empty: any")] = ""
    text: str = "正在为您转接人工客服，请稍候。"
    back_text: str = "人工服务已结束，我来继续为您解答。"
    unavailable: Annotated[str, Meta(description="for accounts that have no agents")] = (
        "暂时没有人工客服，我来尽力为您解答。"
    )
