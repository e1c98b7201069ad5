"""The port for whoever knows what the pipeline did with a message.

The platform sees only what it pushed and what came back. A process beside the pipeline may know
more (the path chosen, the reasons, the trace); it posts `/control/observations`, or runs inside
the simulator as an `Observer`, as `nats_observer` does.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from queqiao_wechat.aibot import BotMessage, bot_dedupe_key, parse_bot_push
from queqiao_wechat.messages import MessageError, dedupe_key, parse_message

from queqiao_simulator.envelope import Fields, render, render_json
from queqiao_simulator.transcript import Observation

IDENTITY = (
    "ToUserName", "FromUserName", "CreateTime", "MsgType", "MsgId",
    "Event", "EventKey", "MsgID", "trace_id",
)  # fmt: skip

Record: TypeAlias = Callable[[Observation, list[str]], int]
"""Notes an observation of these msgids or keys; answers how many the simulator knows."""


class Observer(Protocol):
    """Watches a pipeline for as long as the simulator runs."""

    async def watch(self, record: Record) -> None:
        """Call `record` for every message that the pipeline has decided about."""


def key_of(push: Fields) -> str:
    """What Queqiao calls the message that it makes of a push: its `dedupe_key`, or nothing.

    Only the fields that identify it are read, so it does not matter what the user wrote.
    """
    try:
        return dedupe_key(
            parse_message(render({name: push[name] for name in IDENTITY if name in push}))
        )
    except MessageError:  # a field of the control API that no XML can hold
        return ""


def key_of_question(push: Fields) -> str:
    """The same for what a user asks an AI bot: its `bot_dedupe_key`, or nothing."""
    question = parse_bot_push(render_json(push))
    return bot_dedupe_key(question) if isinstance(question, BotMessage) else ""
