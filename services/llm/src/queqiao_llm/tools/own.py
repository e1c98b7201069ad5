"""Tools that need no server: handing over to a person, and remembering. Pure."""

from collections.abc import Mapping
from typing import Any

from queqiao_common.settings import Config

from queqiao_llm.completion import Extras, Tool
from queqiao_llm.tools.results import clean

HANDOVER = Tool(
    name="handover",
    description="把对话转给人工客服。只在用户要求人工、要投诉，或你确实解决不了时使用。",
    parameters={"type": "object", "properties": {}},
)
REMEMBER = Tool(
    name="remember",
    description=(
        "记住关于这位用户、以后还用得着的一件事，例如称呼、喜好、长期的情况。"
        "一句话写完。不要记密码、证件号、银行卡号等敏感信息。"
    ),
    parameters={
        "type": "object",
        "properties": {"fact": {"type": "string", "description": "要记住的一句话"}},
        "required": ["fact"],
    },
)
LONGEST = 200
"""Characters of a note."""
MOST = 5
"""Notes of one answer."""
NAMES = frozenset({HANDOVER.name, REMEMBER.name})


def offered(config: Config) -> tuple[Tool, ...]:
    """Return those that the configuration switches on."""
    tools = []
    if config.handover.enabled and config.handover.by_model:
        tools.append(HANDOVER)
    if config.notes.enabled:
        tools.append(REMEMBER)
    return tuple(tools)


def carry_out(name: str, arguments: Mapping[str, Any], extras: Extras) -> tuple[str, Extras]:
    """Return what the model is told, and what goes out with its answer."""
    if name == HANDOVER.name:
        return "已安排：你的这条回复发出后就转给人工客服。", Extras(handover=True)
    fact = " ".join(clean(str(arguments.get("fact") or "")).split())[:LONGEST]
    if not fact:
        return "没有说要记住什么，什么也没有记。", Extras()
    if fact in extras.notes or len(extras.notes) >= MOST:
        return "已经记下了。", Extras()
    return "已记下。", Extras(notes=(fact,))
