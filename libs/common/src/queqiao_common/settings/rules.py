"""Menus, keywords, scenes and the way to a person: what WeChat switches off with a callback."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Literal

from msgspec import Meta

from queqiao_common.settings.base import Name, Section


class RuleCard(Section, frozen=True, kw_only=True):
    """`[rules.card]`: a page shown as a card (news), or with `appid` a page of a Mini Program."""

    title: str
    description: str = ""
    url: Annotated[str, Meta(description="of the page; for a Mini Program, where it cannot open")]
    picture_url: str = ""
    appid: str = ""
    page_path: str = ""


class Rule(Section, frozen=True, kw_only=True):
    """One `[[rules]]` entry: the first that fits decides. It needs an outcome."""

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
    card: Annotated[
        RuleCard | None, Meta(description="show this after the reply; as words where it cannot be")
    ] = None


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
        int,
        Meta(
            ge=0,
            description="apologies in a row that hand over; 0: they do not (cost: docs/wechat.md)",
        ),
    ] = 0
    by_model: Annotated[
        bool, Meta(description="let the model hand over by a tool call (cost: docs/wechat.md)")
    ] = False
    timeout: Annotated[
        float, Meta(gt=0, description="silence of the user after which the model answers again")
    ] = 1800.0
    agent: Annotated[str, Meta(description="`KfAccount` of one agent; empty: any")] = ""
    text: str = "正在为您转接人工客服，请稍候。"
    back_text: str = "人工服务已结束，我来继续为您解答。"
    unavailable: Annotated[str, Meta(description="for accounts that have no agents")] = (
        "暂时没有人工客服，我来尽力为您解答。"
    )
    missed: Annotated[
        str, Meta(description="when a message to the person could not be passed on")
    ] = "刚才这条没有转到人工客服，请再发一次。"

    @property
    def by_any_message(self) -> bool:
        """Whether a message that does not ask for a person may be answered with one."""
        return self.enabled and (self.by_model or self.failures > 0)


def rule_problems(
    rules: Sequence[Rule],
    *,
    accounts: Collection[str],
    personas: Collection[str],
    can_hand_over: bool,
) -> Iterator[str]:
    """Name what is wrong with the rules, each by its key path."""
    for number, rule in enumerate(rules):
        at = f"rules[{number}]"
        yield from (f"{at}.{problem}" for problem in _outcome_problems(rule))
        for account in rule.accounts:
            if account not in accounts:
                yield f"{at}.accounts: no account has the id {account!r}"
        if rule.persona and rule.persona not in personas:
            yield f"{at}.persona: no persona is called {rule.persona!r}"
        if rule.handover and not can_hand_over:
            yield f"{at}.handover: handover.enabled is false"
        if rule.match == "regex":
            for index, value in enumerate(rule.values):
                if reason := _regex_problem(value):
                    yield f"{at}.values[{index}]: {reason}"


def _outcome_problems(rule: Rule) -> Iterator[str]:
    if not (rule.reply or rule.persona or rule.handover or rule.ask or rule.card):
        yield "reply: required, or card, persona, handover or ask"
    if rule.card and (rule.ask or rule.handover):
        yield "card: only beside a reply or a persona"
    if rule.ask and rule.reply:
        yield "ask: there is a reply already"
    if rule.ask and rule.handover:
        yield "ask: the conversation is handed over, no model is asked"


def _regex_problem(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        return f"not a regular expression: {error}"
    if has_nested_repeat(pattern):
        return "a repeat within a repeat, like (a+)+, can take for ever to match"
    return ""


_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(|\)|[*+]|\{\d*,\d*\}|.", re.DOTALL)


def has_nested_repeat(pattern: str) -> bool:
    """Whether a group that repeats something is repeated itself: the usual cause of runaway time.

    The text that rules are matched with is short, but exponential time is long for short texts too.
    """
    repeats = [False]
    closed = False
    for part in _PART.findall(pattern):
        is_repeat = part in {"*", "+"} or (part[0] == "{" and len(part) > 1)
        if is_repeat and closed:
            return True
        if part == "(":
            repeats.append(False)
        closed = part == ")" and len(repeats) > 1 and repeats.pop()
        repeats[-1] = repeats[-1] or is_repeat or closed
    return False
