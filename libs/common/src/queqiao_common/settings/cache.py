"""Answers to frequent questions."""

from typing import Annotated, Literal

from msgspec import Meta

from queqiao_common.settings.base import Section


class Cache(Section, frozen=True, kw_only=True):
    """`[cache]`: answers to frequent, context-free questions. Scores go from 0 to 1."""

    enabled: bool = True
    ttl: Annotated[
        float, Meta(gt=0, le=2_592_000, description="of an answer that is not pinned")
    ] = 86_400.0
    max_answers: Annotated[
        int, Meta(ge=1, description="that are not pinned; the least used makes room")
    ] = 10_000
    near: Annotated[
        float,
        Meta(ge=0, le=1, description="least score of the same question in other words"),
    ] = 0.6
    offer: Annotated[
        float, Meta(ge=0, le=1, description="least score of a question that may be meant")
    ] = 0.18
    degraded: Annotated[
        float,
        Meta(ge=0, le=1, description="least score of the answer given when no model can answer"),
    ] = 0.5
    menu: Annotated[
        Literal["curated", "all", "off"],
        Meta(description="offer what operators pinned, wrote or warmed; or all that was asked"),
    ] = "curated"
    menu_title: str = "您是不是想问："
    menu_hint: str = "回复数字即可；都不是请回复 0。"
    degraded_note: Annotated[
        str, Meta(description="said before such an answer; `{question}` is what it answers")
    ] = "现在暂时无法生成新的回答，下面是「{question}」的回答，供参考："
    wait: Annotated[
        float, Meta(ge=0, description="for another user's same question, at most half the time")
    ] = 20.0
    synonyms: Annotated[
        tuple[tuple[str, ...], ...],
        Meta(description="words of your trade that mean the same, beside the built-in ones"),
    ] = ()
